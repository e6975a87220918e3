"""Says how long a server process may take, and tells whether it hangs: it has work and no progress for too long.

Pure: knows counters and times, no clock, no process. Whoever talks to the process feeds it, whoever started it asks it.
"""

from dataclasses import dataclass

SLOWEST_STEPS = 5


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a process may take to load, to stop when asked, and to go without progress while it has work."""

    load_s: float = 300.0
    stop_s: float = 2.0
    hang_s: float = 10.0
    look_s: float = 0.5


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
