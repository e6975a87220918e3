"""A stream of events as a plain ASGI answer: one write per engine step, a sign of life while nothing comes.

Headers go out when the answer starts, which is after the engine has dispatched the ask. Knows frames and presence,
not what the frames say.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from starlette.types import Receive, Scope, Send

from tramontane.engine.facade import Answer
from tramontane.entrypoints.api.dialects.frames import Frames
from tramontane.entrypoints.api.errors import INTERNAL
from tramontane.entrypoints.api.metrics import StreamMeter
from tramontane.entrypoints.api.presence import ClientGone, Presence
from tramontane.foundation.errors import TramontaneError
from tramontane.foundation.events import Event, Failed

PING_S = 15.0
PING = b": ping\n\n"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
log = logging.getLogger(__name__)


class EventStream:
    """The answer to one streaming request."""

    status_code = 200

    def __init__(
        self,
        running: Answer,
        frames: Frames,
        headers: dict[str, str],
        meter: StreamMeter,
    ) -> None:
        self._running = running
        self._frames = frames
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._meter = meter
        self._quiet = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def ping() -> None:
            if self._quiet:
                await send({"type": "http.response.body", "body": PING, "more_body": True})
            self._quiet = True

        self._meter.opened()
        try:
            async with Presence(receive, idle=ping, idle_s=PING_S):
                await self._write(send)
        except ClientGone:
            return
        finally:
            self._meter.closed(self._running.model, self._frames.spend)

    async def _write(self, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS + self._headers})
            async with aclosing(self._running.events()) as batches:
                await self._relay(batches, send)
        finally:
            await self._running.close()

    async def _relay(self, batches: AsyncGenerator[Sequence[Event], None], send: Send) -> None:
        frames, meter = self._frames, self._meter
        try:
            async for batch in batches:
                content = frames.encode(batch)
                if content:
                    meter.step()
                    self._quiet = False
                    await send({"type": "http.response.body", "body": content, "more_body": not frames.done})
                if frames.done:
                    return
            failed = Failed("engine_failed", "the answer ended without its last word; send the request again")
        except TramontaneError as error:
            failed = Failed(error.code, error.message)
        except Exception:
            log.exception("the stream of request %s broke", self._running.request_id)
            failed = Failed("internal_error", INTERNAL)
        await send({"type": "http.response.body", "body": frames.fail(failed), "more_body": False})
