"""The life of one model's process as a table, and what its deaths mean.

Pure: a restart is allowed at once until five deaths fall within a minute; then the model is quarantined with a growing
back-off. A request that was being answered at two deaths is refused for an hour. Whether a living process hangs is its
adapter's to say. The fleet and seating call it.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import StrEnum

from tramontane.engine.nouns import SECOND_NS

CRASH_WINDOW_NS = 60 * SECOND_NS
CRASH_DEATHS = 5
MAX_BACKOFF_S = 60
POISON_DEATHS = 2
POISON_NS = 3600 * SECOND_NS
MAX_FINGERPRINTS = 4096


class ReplicaState(StrEnum):
    ABSENT = "absent"
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    QUARANTINED = "quarantined"


MOVES: dict[ReplicaState, frozenset[ReplicaState]] = {
    ReplicaState.ABSENT: frozenset({ReplicaState.LOADING}),
    ReplicaState.LOADING: frozenset({ReplicaState.READY, ReplicaState.ABSENT, ReplicaState.QUARANTINED}),
    ReplicaState.READY: frozenset({ReplicaState.DRAINING, ReplicaState.ABSENT, ReplicaState.QUARANTINED}),
    ReplicaState.DRAINING: frozenset({ReplicaState.ABSENT, ReplicaState.QUARANTINED}),
    ReplicaState.QUARANTINED: frozenset({ReplicaState.LOADING, ReplicaState.ABSENT}),
}


def moved(model: str, current: ReplicaState, to: ReplicaState) -> ReplicaState:
    """The new state; ValueError for a move the table does not have."""
    if to not in MOVES[current]:
        raise ValueError(f"{model} cannot go from {current} to {to}")
    return to


@dataclass(slots=True)
class Deaths:
    """One model's deaths and failed loads, and until when it may not be started again."""

    times_ns: deque[int] = field(default_factory=deque)
    quarantines: int = 0
    retry_at_ns: int = 0

    def note(self, now_ns: int) -> bool:
        """Count one; True when it puts the model into quarantine until `retry_at_ns`."""
        self._forget(now_ns)
        self.times_ns.append(now_ns)
        if len(self.times_ns) < CRASH_DEATHS:
            return False
        self.retry_at_ns = now_ns + min(MAX_BACKOFF_S, 2**self.quarantines) * SECOND_NS
        # Capped because only the first seven doublings differ.
        self.quarantines = min(self.quarantines + 1, 7)
        return True

    def wait_s(self, now_ns: int) -> float:
        return max(0.0, (self.retry_at_ns - now_ns) / SECOND_NS)

    def recent(self, now_ns: int) -> int:
        self._forget(now_ns)
        return len(self.times_ns)

    def _forget(self, now_ns: int) -> None:
        while self.times_ns and self.times_ns[0] <= now_ns - CRASH_WINDOW_NS:
            self.times_ns.popleft()
        if not self.times_ns and now_ns > self.retry_at_ns:
            self.quarantines = 0


class Suspects:
    """Fingerprints of requests that were open at a death, how often, and when last."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def present_at_death(self, fingerprint: bytes, now_ns: int) -> int:
        """Count one death; returns how many it was present at within the hour."""
        count, at_ns = self._seen.pop(fingerprint, (0, now_ns))
        count = 1 if now_ns - at_ns > POISON_NS else count + 1
        self._seen[fingerprint] = (count, now_ns)
        if len(self._seen) > MAX_FINGERPRINTS:
            self._seen.popitem(last=False)
        return count

    def cleared(self, fingerprint: bytes) -> None:
        """It was answered well, so it was not the cause."""
        self._seen.pop(fingerprint, None)

    def known(self, fingerprint: bytes, now_ns: int) -> bool:
        return self._deaths(fingerprint, now_ns) > 0

    def refused(self, fingerprint: bytes, now_ns: int) -> bool:
        return self._deaths(fingerprint, now_ns) >= POISON_DEATHS

    def _deaths(self, fingerprint: bytes, now_ns: int) -> int:
        count, at_ns = self._seen.get(fingerprint, (0, 0))
        return count if now_ns - at_ns <= POISON_NS else 0
