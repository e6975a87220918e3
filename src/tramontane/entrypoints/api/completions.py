"""Plain text completions, for OpenAI clients, under both prefixes."""

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.dialects.openai import OpenAICompletion
from tramontane.entrypoints.api.dialects.openai_answers import TextFrames, text_answer
from tramontane.entrypoints.api.generate import Generator, Writers, deadline_of
from tramontane.entrypoints.api.openapi import ANSWERS
from tramontane.entrypoints.api.policy import needs_inference


def add_routes(routes: APIRouter, generator: Generator) -> None:
    @routes.post("/v1/completions", tags=["completions"], responses=ANSWERS["text"], summary="Continue a text")
    @routes.post("/openai/v1/completions", tags=["completions"], responses=ANSWERS["text"], summary="Continue a text")
    @needs_inference
    async def complete(request: Request, body: OpenAICompletion) -> Response:
        asks = body.read(request.state.request_id, deadline_of(request))
        stream = partial(TextFrames, with_usage=body.wants_usage_chunk)
        return await generator.answer(request, body, asks, Writers(whole=text_answer, stream=stream))
