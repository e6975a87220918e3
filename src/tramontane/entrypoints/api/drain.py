"""Knows whether the doors are closing and how many requests are still inside. Knows nothing of what they do.

The composition root calls `begin` when it is told to stop, then `wait`; the front door asks and counts.
"""

import asyncio


class Drain:
    """A gate that closes once. Single-threaded: all methods run on the event loop."""

    def __init__(self) -> None:
        self.closing = False
        self.inside = 0
        self._empty = asyncio.Event()

    def begin(self) -> None:
        """Refuse new work from now on; what is inside may finish."""
        self.closing = True
        if self.inside == 0:
            self._empty.set()

    def enter(self) -> None:
        self.inside += 1

    def leave(self) -> None:
        self.inside -= 1
        if self.inside == 0 and self.closing:
            self._empty.set()

    async def wait(self, seconds: float) -> bool:
        """True when the last request left within `seconds`; call `begin` before."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
