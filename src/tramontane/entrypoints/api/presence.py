"""Knows whether the client is still there, and stops the work when it is not. Knows nothing of the work.

Wraps the wait for an answer: `async with Presence(receive): ...` raises ClientGone out of whatever was awaited.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

from starlette.types import Message, Receive

from tramontane.foundation.errors import TramontaneError

Idle = Callable[[], Awaitable[None]]


class ClientGone(TramontaneError):
    """The client closed the connection; nobody will read an answer."""

    code = "client_closed_request"

    def __init__(self) -> None:
        super().__init__("the client closed the connection")


class Presence:
    """While inside, one task listens for the disconnect and cancels the body's task when it comes.

    `idle` is called every `idle_s` seconds, for signs of life on a silent stream. The request body must have been read.
    """

    def __init__(self, receive: Receive, *, idle: Idle | None = None, idle_s: float | None = None) -> None:
        self._receive = receive
        self._idle = idle
        self._idle_s = idle_s
        self._gone = False

    async def __aenter__(self) -> "Presence":
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("Presence needs a task to cancel")
        self._task: asyncio.Task[object] = task
        self._watch = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.cancel()
        if self._gone:
            self._task.uncancel()
            if kind is asyncio.CancelledError:
                raise ClientGone from None

    async def _listen(self) -> None:
        while True:
            try:
                message = await self._next()
            except TimeoutError:
                if self._idle is not None:
                    await self._idle()
                continue
            if message["type"] == "http.disconnect":
                self._gone = True
                self._task.cancel()
                return

    async def _next(self) -> Message:
        if self._idle_s is None:
            return await self._receive()
        async with asyncio.timeout(self._idle_s):
            return await self._receive()
