"""Sharing a conversation to be read: making, listing and revoking for its owner, looking for all of the organisation."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.answers import empty, json_response
from tramontane.entrypoints.api.conversations.shapes import node_shape
from tramontane.entrypoints.api.policy import needs_inference
from tramontane.features.assistant import shares
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import Owner
from tramontane.features.assistant.shares import Share
from tramontane.foundation.clock import iso_time


def _shape(one: Share) -> dict[str, Any]:
    return {"share_id": one.share_id, "path": f"/share/{one.share_id}", "created_at": iso_time(one.created_ns)}


def add_routes(routes: APIRouter, assistant: Assistant) -> None:
    @routes.post("/v1/conversations/{conversation_id}/shares", tags=["shares"], summary="Share a conversation")
    @needs_inference
    async def make(request: Request, conversation_id: str) -> Response:
        owner, now_ns = Owner.of(request.state.caller), assistant.clock.now_ns()
        return json_response(_shape(await assistant.write(shares.add, owner, conversation_id, now_ns)))

    @routes.get("/v1/conversations/{conversation_id}/shares", tags=["shares"], summary="Where it is shared")
    @needs_inference
    async def listed(request: Request, conversation_id: str) -> Response:
        found = await assistant.read(shares.listed, Owner.of(request.state.caller), conversation_id)
        return json_response([_shape(one) for one in found])

    @routes.get("/v1/shares/{share_id}", tags=["shares"], summary="A shared conversation, to be read")
    @needs_inference
    async def look(request: Request, share_id: str) -> Response:
        live = assistant.living()
        one, entries = await assistant.read(shares.look, Owner.of(request.state.caller), share_id)
        shown = {"name": one.name, "owner_name": one.owner_name, "created_at": iso_time(one.created_ns)}
        return json_response(shown | {"entries": [node_shape(entry, live) for entry in entries]})

    @routes.delete("/v1/shares/{share_id}", tags=["shares"], summary="Share it no longer", status_code=204)
    @needs_inference
    async def remove(request: Request, share_id: str) -> Response:
        await assistant.write(shares.remove, Owner.of(request.state.caller), share_id)
        return empty()
