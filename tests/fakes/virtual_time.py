"""An asyncio event loop whose time jumps to the next timer instead of waiting for it, and its clock.

Lets the real engine, with its real timers, be simulated for minutes in milliseconds, the same on every run.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
EPOCH_NS = 1_750_000_000_000_000_000


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("nothing can ever happen any more: somebody waits for what nobody will do")
        # A whole microsecond more, so that rounding never leaves a timer just short of due.
        self.now_s += max(timeout, 0.0) + (1e-6 if timeout > 0 else 0.0)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Fulfils Clock too: `monotonic_ns` is the loop's own time."""

    def __init__(self) -> None:
        self.jumping = _JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now_s

    def monotonic_ns(self) -> int:
        return int(self.time() * 1e9)

    def now_ns(self) -> int:
        return EPOCH_NS + self.monotonic_ns()


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def virtual_clock() -> VirtualTimeLoop:
    """The running loop as a clock."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop
