"""Knows how blocking work leaves the event loop: a few threads and a bounded line before them. Knows nothing of SQL.

A cancelled caller leaves its thread to finish, so a connection is never handed on in the middle of a conversation.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tramontane.foundation.store.errors import StorageBusy

Result = TypeVar("Result")


class Lane:
    """`threads` pieces of work at once and at most `max_waiting` behind them; more are refused with StorageBusy."""

    def __init__(self, name: str, *, threads: int, max_waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"store-{name}")
        self._limit = threads + max_waiting
        self._inside = 0

    async def run(self, work: Callable[..., Result], *args: object) -> Result:
        """Call `work(*args)` on one of the lane's threads and wait for it without blocking the loop."""
        if self._inside >= self._limit:
            raise StorageBusy("too many requests wait for the database; try again in a moment", retry_after_s=1)
        self._inside += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*args))
        future.add_done_callback(self._left)
        return await future

    def close(self) -> None:
        """Let the work under way finish, refuse the rest."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _left(self, future: "asyncio.Future[Any]") -> None:
        self._inside -= 1
        if not future.cancelled():
            future.exception()
