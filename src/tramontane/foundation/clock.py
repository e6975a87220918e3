"""Knows what time it is, and lets a test say otherwise. Deciding code takes the time as an argument instead."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings: one for calendars, one for durations."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch; may jump."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that only grow; for durations and deadlines."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()
