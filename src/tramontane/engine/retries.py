"""The budget for trying again inside: at most a tenth of the requests of the last seconds, and a few.

Pure. Keeps a dying machine from being killed by its own second attempts. Seating asks it.
"""

from tramontane.engine.nouns import SECOND_NS

HALF_WINDOW_NS = 5 * SECOND_NS
FREE_RETRIES = 4
PART = 10


class RetryBudget:
    """Counts over the current and the previous five seconds."""

    def __init__(self) -> None:
        self._half = -2
        self._opened = [0, 0]
        self._retried = [0, 0]

    def opened(self, now_ns: int) -> None:
        self._turn(now_ns)
        self._opened[1] += 1

    def take(self, now_ns: int) -> bool:
        """One more retry, if the budget allows it."""
        self._turn(now_ns)
        if sum(self._retried) >= FREE_RETRIES + sum(self._opened) // PART:
            return False
        self._retried[1] += 1
        return True

    def _turn(self, now_ns: int) -> None:
        half = now_ns // HALF_WINDOW_NS
        if half == self._half:
            return
        kept = half == self._half + 1
        self._opened = [self._opened[1] if kept else 0, 0]
        self._retried = [self._retried[1] if kept else 0, 0]
        self._half = half
