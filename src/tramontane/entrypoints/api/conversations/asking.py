"""Starting, going on and starting over: what every asking route does with a turn, streamed or whole."""

from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.answers import json_response
from tramontane.entrypoints.api.conversations.bodies import AppendBody, RestartBody, StartBody, TurnBody
from tramontane.entrypoints.api.conversations.frames import ConversationFrames
from tramontane.entrypoints.api.conversations.shapes import entry_shape
from tramontane.entrypoints.api.errors import error_named
from tramontane.entrypoints.api.generate import Generator, deadline_of
from tramontane.entrypoints.api.metrics import Metrics, StreamMeter
from tramontane.entrypoints.api.policy import needs_inference
from tramontane.entrypoints.api.ports import Doors
from tramontane.entrypoints.api.presence import Presence
from tramontane.entrypoints.api.sse import EventStream
from tramontane.features.assistant.answering import Run
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import NewTurn
from tramontane.foundation.errors import InvalidFields

LONGEST_KEY = 200
Begin = Callable[[NewTurn], Awaitable[Run]]


class _Meter(StreamMeter):
    """Begins with the first word: the frame that says an answer has started is no token."""

    _waiting = True

    def step(self) -> None:
        if self._waiting:
            self._waiting = False
        else:
            super().step()


def send_key_of(request: Request) -> str | None:
    """The client's name for one sending. Raises InvalidFields."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise InvalidFields.of("idempotency-key", f"send 1 to {LONGEST_KEY} plain characters, a UUID say")
    return key


class Asking:
    """Answers turns for one application."""

    def __init__(self, doors: Doors, assistant: Assistant, metrics: Metrics, generator: Generator) -> None:
        self._doors = doors
        self.assistant = assistant
        self._metrics = metrics
        self._generator = generator

    async def answer(self, request: Request, body: TurnBody, begin: Begin) -> Response:
        """A stream or a whole answer, as the body asks. Raises whatever the room or the engine refuses with."""
        begun_ns = self._doors.clock.monotonic_ns()
        turn = body.turn(request.state.request_id, deadline_of(request), send_key_of(request))
        async with Presence(request.receive):
            run = await begin(turn)
            if not body.stream:
                await self._whole(run)
        headers = self._generator.headers(request.state.caller, body)
        if body.stream:
            meter = _Meter(self._metrics, self._doors.clock, begun_ns)
            return cast(Response, EventStream(run, ConversationFrames(run, self._doors.clock), headers, meter))
        if run.spend is not None:
            self._metrics.spent(run.model, run.spend)
        if run.failure is not None:
            raise error_named(run.failure.code, run.failure.message)
        return json_response(_response(run), headers=headers)

    async def _whole(self, run: Run) -> None:
        try:
            await run.finished()
        finally:
            if not run.over:
                await run.close()


def _response(run: Run) -> dict[str, object]:
    return {
        "object": "conversation.response",
        "conversation_id": run.turn.conversation.conversation_id,
        "outputs": [entry_shape(one) for one in run.outputs],
        "usage": run.usage(),
        "input_entry_ids": list(run.turn.input_ids),
        "output_entry_id": run.turn.output_id,
    }


def add_routes(routes: APIRouter, asking: Asking) -> None:
    assistant = asking.assistant

    @routes.post("/v1/conversations", tags=["conversations"], summary="Start a conversation")
    @needs_inference
    async def start(request: Request, body: StartBody) -> Response:
        new = body.read()
        return await asking.answer(request, body, lambda turn: assistant.start(request.state.caller, new, turn))

    @routes.post("/v1/conversations/{conversation_id}", tags=["conversations"], summary="Go on with a conversation")
    @needs_inference
    async def append(request: Request, conversation_id: str, body: AppendBody) -> Response:
        return await asking.answer(
            request, body, lambda turn: assistant.go_on(request.state.caller, conversation_id, turn)
        )

    @routes.post(
        "/v1/conversations/{conversation_id}/restart", tags=["conversations"], summary="Start over from an entry"
    )
    @needs_inference
    async def restart(request: Request, conversation_id: str, body: RestartBody) -> Response:
        return await asking.answer(
            request, body, lambda turn: assistant.restart(request.state.caller, conversation_id, turn)
        )

    @routes.post(
        "/v1/conversations/{conversation_id}/stop", tags=["conversations"], summary="Stop what is being written"
    )
    @needs_inference
    async def stop(request: Request, conversation_id: str) -> Response:
        return json_response({"stopped": await assistant.stop(request.state.caller, conversation_id)})
