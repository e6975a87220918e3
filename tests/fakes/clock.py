"""A clock that stands still until a test moves it."""


class FakeClock:
    """Both readings start apart, so that taking one for the other shows."""

    def __init__(self, now_ns: int = 1_800_000_000_000_000_000, monotonic_ns: int = 1_000_000_000) -> None:
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def pass_ns(self, duration_ns: int) -> None:
        """Let time pass on both."""
        self._now_ns += duration_ns
        self._monotonic_ns += duration_ns

    def jump_ns(self, duration_ns: int) -> None:
        """Set the calendar only, as an administrator or a time server does."""
        self._now_ns += duration_ns
