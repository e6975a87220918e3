"""Tells whether an engine process hangs: it has work and its progress counter has not moved for too long.

Pure: knows counters and times, no clock, no process. The client feeds it, the supervisor asks it.
"""

from dataclasses import dataclass

SLOWEST_STEPS = 5


@dataclass(slots=True)
class ProgressWatch:
    """`patience_ns` is the least time without progress that counts as a hang; five slowest steps if that is longer."""

    patience_ns: int
    progress: int = 0
    slowest_step_ns: int = 0
    unchanged_since_ns: int = 0

    def observe(self, progress: int, *, has_work: bool, now_ns: int) -> None:
        """Take note of the counter; without work, standing still is no hang."""
        if progress != self.progress or not has_work:
            self.progress = progress
            self.unchanged_since_ns = now_ns

    def hangs(self, now_ns: int) -> bool:
        """Whether the time without progress has passed what the engine may need."""
        allowed = max(self.patience_ns, SLOWEST_STEPS * self.slowest_step_ns)
        return now_ns - self.unchanged_since_ns > allowed
