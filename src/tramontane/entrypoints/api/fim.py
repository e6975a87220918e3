"""`/v1/fim/completions`: fill in the middle. Answers look like those of a chat."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.chat import MISTRAL
from tramontane.entrypoints.api.dialects.mistral import MistralFim
from tramontane.entrypoints.api.generate import Generator, deadline_of
from tramontane.entrypoints.api.openapi import ANSWERS
from tramontane.entrypoints.api.policy import needs_inference


def add_routes(routes: APIRouter, generator: Generator) -> None:
    @routes.post(
        "/v1/fim/completions", tags=["fim"], responses=ANSWERS["mistral_chat"], summary="Write what goes between"
    )
    @needs_inference
    async def fim(request: Request, body: MistralFim) -> Response:
        ask = body.read(request.state.request_id, deadline_of(request))
        return await generator.answer(request, body, (ask,), MISTRAL)
