"""One request's events on their way from the socket to their reader, and the answer the reader iterates over.

Knows last words and cancellation; knows no protocol. The client fills mailboxes, the engine's stream reads answers.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from types import TracebackType
from typing import Any, Protocol

from tramontane.foundation.events import Event, Failed, Finished


class Mailbox:
    """Events of one request that its reader has not taken yet; `over` once the last word is among them."""

    __slots__ = ("events", "over", "waiter")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.over = False
        self.waiter: asyncio.Future[None] | None = None

    def put(self, events: list[Event]) -> None:
        """Add one step's events; whatever follows a last word is dropped."""
        for place, event in enumerate(events):
            if isinstance(event, Finished | Failed):
                self.over = True
                events = events[: place + 1]
                break
        if self.events:
            self.events += events
        else:
            self.events = events
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def take(self) -> list[Event]:
        """Everything that has come since; waits when there is nothing."""
        if not self.events:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        events, self.events = self.events, []
        return events


class Answerer(Protocol):
    """Who answers: told when an answer is no longer read."""

    def drop(self, request_id: str, box: Mailbox) -> None:
        """Forget a request whose answer is over or abandoned; one still running is told to stop."""
        ...

    async def cancelled(self, request_id: str) -> None:
        """Wait for a bounded time until a cancellation is confirmed."""
        ...


class Answer(AsyncGenerator[Sequence[Event], None]):
    """One request's events. A class, because closing it must cancel even before the first batch was asked for."""

    __slots__ = ("_box", "_done", "_request_id", "_server")

    def __init__(self, server: Answerer, request_id: str, box: Mailbox) -> None:
        self._server = server
        self._request_id = request_id
        self._box = box
        self._done = False

    async def __anext__(self) -> Sequence[Event]:
        if self._done:
            raise StopAsyncIteration
        try:
            events = await self._box.take()
        except asyncio.CancelledError:
            await self.aclose()
            raise
        if self._box.over:
            self._finish()
        return events

    def _finish(self) -> None:
        self._done = True
        self._server.drop(self._request_id, self._box)

    async def asend(self, value: None) -> Sequence[Event]:
        return await self.__anext__()

    async def athrow(
        self, kind: Any, value: object = None, traceback: TracebackType | None = None, /
    ) -> Sequence[Event]:
        await self.aclose()
        raise kind if value is None else value  # type: ignore[misc]

    async def aclose(self) -> None:
        """Cancel what still runs; returns once what it cost is known, or after `CANCEL_WAIT_S`."""
        if self._done:
            return
        self._finish()
        if not self._box.over:
            await self._server.cancelled(self._request_id)

    def __del__(self) -> None:
        if not self._done:
            self._finish()
