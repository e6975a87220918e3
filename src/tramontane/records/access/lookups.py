"""Remembers what a presented credential opens, for two seconds at most: one look-up for all who ask at once.

Credentials never seen before wait in a short line of their own, so that guessing slows nobody who is known. What is found
and whether it still counts is the caller's matter. Used on one event loop.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from tramontane.foundation.clock import Clock
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.errors import StorageBusy

TTL_NS = 1_500_000_000
CAPACITY = 10_000
FIRST_LOOKUPS = 2
MAX_FIRST_WAITING = 256

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class _Kept(NamedTuple, Generic[Value]):
    value: Value
    fresh_until_ns: int


class Lookups(Generic[Key, Value]):
    """`read(key)` blocks and gives None for what is not there; nothing is remembered of that."""

    def __init__(
        self, database: Database, clock: Clock, read: Callable[[Key], Value | None], *, ttl_ns: int = TTL_NS
    ) -> None:
        self._database = database
        self._clock = clock
        self._read = read
        self._ttl_ns = ttl_ns
        self._kept: dict[Key, _Kept[Value]] = {}
        self._loading: dict[Key, asyncio.Task[Value | None]] = {}
        self._first = asyncio.Semaphore(FIRST_LOOKUPS)
        self._first_waiting = 0

    async def get(self, key: Key) -> Value | None:
        """What the key opens, as it was at most `ttl_ns` ago. Raises a storage error."""
        kept = self._kept.get(key)
        if kept is not None and self._clock.monotonic_ns() < kept.fresh_until_ns:
            return kept.value
        return await self._load(key)

    def forget(self, key: Key) -> None:
        """Look it up anew at its next use."""
        self._kept.pop(key, None)
        self._loading.pop(key, None)

    def forget_where(self, matches: Callable[[Value], bool]) -> None:
        """The same for all whose value matches; what is just being looked up may be one of them."""
        for key in [key for key, kept in self._kept.items() if matches(kept.value)]:
            del self._kept[key]
        self._loading.clear()

    async def _load(self, key: Key) -> Value | None:
        """One caller's leaving does not end the look-up for the others."""
        task = self._loading.get(key)
        if task is None:
            task = asyncio.create_task(self._look_up(key))
            self._loading[key] = task
            task.add_done_callback(lambda done: self._loaded(key, done))
        return await asyncio.shield(task)

    def _loaded(self, key: Key, task: "asyncio.Task[Value | None]") -> None:
        if self._loading.get(key) is task:
            del self._loading[key]
        if not task.cancelled():
            task.exception()

    async def _look_up(self, key: Key) -> Value | None:
        if key in self._kept:
            return await self._read_now(key)
        if self._first_waiting >= MAX_FIRST_WAITING:
            raise StorageBusy("too many unknown callers are being checked; try again in a moment", retry_after_s=1)
        self._first_waiting += 1
        try:
            async with self._first:
                return await self._read_now(key)
        finally:
            self._first_waiting -= 1

    async def _read_now(self, key: Key) -> Value | None:
        asked_ns = self._clock.monotonic_ns()
        value = await self._database.run(self._read, key)
        if self._loading.get(key) is not asyncio.current_task():
            return value  # forgotten meanwhile: it may be from before the change
        self._kept.pop(key, None)
        if value is not None:
            self._kept[key] = _Kept(value, asked_ns + self._ttl_ns)
            if len(self._kept) > CAPACITY:
                self._kept.pop(next(iter(self._kept)))
        return value
