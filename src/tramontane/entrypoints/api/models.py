"""`/models` in both dialects: the models this caller may use, and near names for one that is not among them."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.answers import json_response
from tramontane.entrypoints.api.openapi import ANSWERS
from tramontane.entrypoints.api.policy import needs_key
from tramontane.entrypoints.api.ports import Doors, ModelCard
from tramontane.foundation.errors import NotFound
from tramontane.records.catalog.resolve import near_names


def mistral_card(card: ModelCard) -> dict[str, Any]:
    """The card Mistral clients read; they refuse one without `type`."""
    can = card.capabilities
    written: dict[str, Any] = {
        "id": card.name,
        "object": "model",
        "created": card.created_s,
        "owned_by": card.owned_by,
        "name": card.label or card.name,
        "description": card.description,
        "max_context_length": card.context_tokens,
        "aliases": list(card.aliases),
        "deprecation": None,
        "default_model_temperature": card.default_temperature,
        "type": "fine-tuned" if card.fine_tuned_from else "base",
        "capabilities": {
            "completion_chat": "chat" in can,
            "function_calling": "function_calling" in can,
            "reasoning": "reasoning" in can,
            "completion_fim": "fim" in can,
            "vision": "vision" in can,
            "embedding": "embedding" in can,
            "fine_tuning": False,
            "classification": False,
        },
    }
    if card.fine_tuned_from:
        written |= {"job": "", "root": card.fine_tuned_from, "archived": False}
    return written


def openai_card(card: ModelCard) -> dict[str, Any]:
    return {"id": card.name, "object": "model", "created": card.created_s, "owned_by": card.owned_by}


def find(cards: Sequence[ModelCard], name: str) -> ModelCard:
    """The card of that name or alias. Raises NotFound with the near names of the caller's own models."""
    for card in cards:
        if name == card.name or name in card.aliases:
            return card
    known = sorted({known for card in cards for known in (card.name, *card.aliases)})
    near = near_names(name, known) or known[:5]
    hint = f"near names: {', '.join(near)}" if near else "no model is installed; add one first"
    raise NotFound(f"no model is named {name[:256]}; {hint}", param="model", code="model_not_found")


def add_routes(routes: APIRouter, doors: Doors) -> None:
    @routes.get("/v1/models", tags=["models"], responses=ANSWERS["models"], summary="Models you may use")
    @needs_key
    async def mistral_models(request: Request) -> Response:
        wanted = request.query_params.get("model")
        cards = [
            card for card in await doors.models(request.state.caller) if wanted in (None, card.name, *card.aliases)
        ]
        return json_response({"object": "list", "data": [mistral_card(card) for card in cards]})

    @routes.get("/v1/models/{model_id:path}", tags=["models"], responses=ANSWERS["model"], summary="One model")
    @needs_key
    async def mistral_model(request: Request, model_id: str) -> Response:
        return json_response(mistral_card(find(await doors.models(request.state.caller), model_id)))

    @routes.get("/openai/v1/models", tags=["models"], responses=ANSWERS["models"], summary="Models you may use")
    @needs_key
    async def openai_models(request: Request) -> Response:
        cards = await doors.models(request.state.caller)
        return json_response({"object": "list", "data": [openai_card(card) for card in cards]})

    @routes.get("/openai/v1/models/{model_id:path}", tags=["models"], responses=ANSWERS["model"], summary="One model")
    @needs_key
    async def openai_model(request: Request, model_id: str) -> Response:
        return json_response(openai_card(find(await doors.models(request.state.caller), model_id)))
