"""Knows what time it is, and lets a test say otherwise; and how a moment is written for callers.

Deciding code takes the time as an argument instead.
"""

import time
from datetime import UTC, datetime
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


def iso_time(time_ns: int, timespec: str = "auto") -> str:
    """Nanoseconds since the epoch as callers see them: ISO 8601 in UTC, to the microsecond unless `timespec` says less."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).replace(microsecond=time_ns // 1_000 % 1_000_000)
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")
