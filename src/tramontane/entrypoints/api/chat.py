"""`/chat/completions` in both dialects."""

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.dialects.mistral import MistralChat
from tramontane.entrypoints.api.dialects.mistral_answers import MistralFrames, mistral_answer
from tramontane.entrypoints.api.dialects.openai import OpenAIChat
from tramontane.entrypoints.api.dialects.openai_answers import OpenAIFrames, openai_answer
from tramontane.entrypoints.api.generate import Generator, Writers, deadline_of
from tramontane.entrypoints.api.openapi import ANSWERS
from tramontane.entrypoints.api.policy import needs_inference

MISTRAL = Writers(whole=mistral_answer, stream=MistralFrames)


def add_routes(routes: APIRouter, generator: Generator) -> None:
    @routes.post(
        "/v1/chat/completions", tags=["chat"], responses=ANSWERS["mistral_chat"], summary="Answer a conversation"
    )
    @needs_inference
    async def chat(request: Request, body: MistralChat) -> Response:
        ask = body.read(request.state.request_id, deadline_of(request))
        return await generator.answer(request, body, (ask,), MISTRAL)

    @routes.post(
        "/openai/v1/chat/completions", tags=["chat"], responses=ANSWERS["openai_chat"], summary="Answer a conversation"
    )
    @needs_inference
    async def openai_chat(request: Request, body: OpenAIChat) -> Response:
        ask = body.read(request.state.request_id, deadline_of(request))
        stream = partial(OpenAIFrames, with_usage=body.wants_usage_chunk)
        return await generator.answer(request, body, (ask,), Writers(whole=openai_answer, stream=stream))
