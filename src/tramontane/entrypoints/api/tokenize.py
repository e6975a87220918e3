"""`/tokenize`: how many tokens the model would read of a prompt. Nothing runs and nothing is charged but one request."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.answers import json_response
from tramontane.entrypoints.api.dialects.counting import TokenizeBody
from tramontane.entrypoints.api.generate import Generator
from tramontane.entrypoints.api.models import find
from tramontane.entrypoints.api.openapi import ANSWERS
from tramontane.entrypoints.api.policy import needs_inference
from tramontane.entrypoints.api.ports import Doors
from tramontane.entrypoints.api.presence import Presence


def add_routes(routes: APIRouter, doors: Doors, generator: Generator) -> None:
    @routes.post("/v1/tokenize", tags=["models"], responses=ANSWERS["count"], summary="Count a prompt's tokens")
    @routes.post("/openai/v1/tokenize", tags=["models"], responses=ANSWERS["count"], summary="Count a prompt's tokens")
    @needs_inference
    async def tokenize(request: Request, body: TokenizeBody) -> Response:
        caller = request.state.caller
        ask = body.read(request.state.request_id)
        card = find(await doors.models(caller), body.model)
        async with Presence(request.receive):
            count = await doors.engine.count(caller, ask)
        counted = {"count": count, "max_model_len": card.context_tokens}
        return json_response(counted, headers=generator.headers(caller, body))
