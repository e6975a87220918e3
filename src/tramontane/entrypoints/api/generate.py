"""What every route of generated text does with its asks: open them, then write a stream or gather a whole answer.

The dialects come in as two functions; the engine decides everything else.
"""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from tramontane.engine.facade import Answer
from tramontane.engine.nouns import RateView, RateViews
from tramontane.entrypoints.api.answers import json_response
from tramontane.entrypoints.api.body import ignored_fields
from tramontane.entrypoints.api.dialects.collect import ChoiceDraft, collect
from tramontane.entrypoints.api.dialects.fields import GenerationBody
from tramontane.entrypoints.api.dialects.frames import Frames
from tramontane.entrypoints.api.errors import shape_of
from tramontane.entrypoints.api.joint import JointAnswer
from tramontane.entrypoints.api.metrics import Metrics, StreamMeter
from tramontane.entrypoints.api.ports import Doors
from tramontane.entrypoints.api.presence import Presence
from tramontane.entrypoints.api.sse import EventStream
from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import Ask, Caller, Spend

NS = 1_000_000_000
LONGEST_TIMEOUT_MS = 24 * 3600 * 1000
WholeAnswer = Callable[[str, str, int, Sequence[ChoiceDraft], Spend], dict[str, Any]]
StreamFrames = Callable[[str, str, int, int], Frames]


@dataclass(frozen=True)
class Writers:
    """How a dialect writes: its whole answer and its stream, both given (id, model, created_s, ...)."""

    whole: WholeAnswer
    stream: StreamFrames


def deadline_of(request: Request) -> int | None:
    """The client's own limit from `x-request-timeout-ms`. Raises InvalidFields when it is no sensible number."""
    value = request.headers.get("x-request-timeout-ms")
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 8 or not 1 <= int(value) <= LONGEST_TIMEOUT_MS:
        message = f"x-request-timeout-ms must be a whole number of milliseconds from 1 to {LONGEST_TIMEOUT_MS}"
        raise InvalidFields.of("x-request-timeout-ms", message)
    return int(value)


def rate_headers(rates: RateViews) -> dict[str, str]:
    """The rate-limit headers, for the limits that exist."""
    headers: dict[str, str] = {}
    if rates.requests is not None:
        headers.update(_view_headers("requests", rates.requests))
        headers["x-ratelimit-remaining"] = str(rates.requests.remaining)
    if rates.tokens is not None:
        headers.update(_view_headers("tokens", rates.tokens))
    return headers


def _view_headers(kind: str, view: RateView) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{kind}": str(view.limit),
        f"x-ratelimit-remaining-{kind}": str(view.remaining),
        f"x-ratelimit-reset-{kind}": f"{view.reset_s:.3f}s",
    }


class Generator:
    """Answers asks for one application."""

    def __init__(self, doors: Doors, metrics: Metrics) -> None:
        self._doors = doors
        self._metrics = metrics

    async def answer(self, request: Request, body: GenerationBody, asks: Sequence[Ask], writers: Writers) -> Response:
        """A stream or a whole answer, as the body asks, to one ask or to several at once. Raises whatever the engine
        refuses with."""
        doors, caller = self._doors, request.state.caller
        ask, choices = asks[0], sum(ask.n for ask in asks)
        created_s = doors.clock.now_ns() // NS
        begun_ns = doors.clock.monotonic_ns()
        async with Presence(request.receive):
            running = await self._open(caller, asks, shape_of(request.scope["path"]))
            if not body.stream:
                async with aclosing(running.events()) as batches:
                    drafts, spend = await collect(batches, choices)
        headers = self.headers(caller, body)
        if body.stream:
            frames = writers.stream(ask.id, ask.model, created_s, choices)
            meter = StreamMeter(self._metrics, doors.clock, begun_ns)
            stream = EventStream(running, frames, headers, meter)
            return cast(Response, stream)
        self._metrics.spent(running.model, spend)
        return json_response(writers.whole(ask.id, ask.model, created_s, drafts, spend), headers=headers)

    async def _open(self, caller: Caller, asks: Sequence[Ask], dialect: str) -> Answer:
        if len(asks) == 1:
            return await self._doors.engine.open(caller, asks[0], dialect=dialect)
        return await JointAnswer.opened(self._doors.engine, caller, asks, dialect)

    def headers(self, caller: Caller, body: BaseModel) -> dict[str, str]:
        headers = rate_headers(self._doors.engine.rates(caller))
        ignored = ignored_fields(body)
        if ignored:
            headers["x-tramontane-ignored"] = ignored
        return headers
