"""`/embeddings` in both dialects."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.answers import json_response
from tramontane.entrypoints.api.dialects.embeddings import (
    DataType,
    EmbeddingBody,
    MistralEmbedding,
    OpenAIEmbedding,
    embedding_answer,
)
from tramontane.entrypoints.api.errors import shape_of
from tramontane.entrypoints.api.generate import Generator
from tramontane.entrypoints.api.metrics import Metrics
from tramontane.entrypoints.api.openapi import ANSWERS
from tramontane.entrypoints.api.policy import needs_inference
from tramontane.entrypoints.api.ports import Doors
from tramontane.entrypoints.api.presence import Presence
from tramontane.foundation.nouns import EmbedAsk


def add_routes(routes: APIRouter, doors: Doors, metrics: Metrics, generator: Generator) -> None:
    async def embed(request: Request, body: EmbeddingBody, ask: EmbedAsk, kind: DataType) -> Response:
        caller = request.state.caller
        async with Presence(request.receive):
            embedded = await doors.engine.embed(caller, ask, dialect=shape_of(request.scope["path"]))
        metrics.spent(ask.model, embedded.spend)
        vectors = embedding_answer(body, ask.id, embedded.rows, embedded.spend, kind)
        return json_response(vectors, headers=generator.headers(caller, body))

    @routes.post("/v1/embeddings", tags=["embeddings"], responses=ANSWERS["embeddings"], summary="Vectors of texts")
    @needs_inference
    async def mistral_embeddings(request: Request, body: MistralEmbedding) -> Response:
        return await embed(request, body, body.read(request.state.request_id), body.output_dtype or "float")

    @routes.post(
        "/openai/v1/embeddings", tags=["embeddings"], responses=ANSWERS["embeddings"], summary="Vectors of texts"
    )
    @needs_inference
    async def openai_embeddings(request: Request, body: OpenAIEmbedding) -> Response:
        return await embed(request, body, body.read(request.state.request_id), "float")
