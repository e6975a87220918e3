"""Renaming, pinning, archiving, moving and deleting a conversation."""

from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.responses import Response

from tramontane.entrypoints.api.conversations.bodies import ChangeBody
from tramontane.entrypoints.api.conversations.shapes import conversation_shape, empty, json_response
from tramontane.entrypoints.api.policy import needs_key
from tramontane.features.assistant import store
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import Conversation, Owner
from tramontane.features.assistant.turns import UNKNOWN, project_instructions
from tramontane.features.assistant.words import fold
from tramontane.foundation.errors import NotFound


def _change(connection: Connection, owner: Owner, conversation_id: str, values: dict[str, Any]) -> Conversation:
    """Ids that come in a body are looked up in the owner's own scope, like those in a path."""
    if store.one(connection, owner, conversation_id, lock=True) is None:
        raise NotFound(UNKNOWN)
    if values.get("project_id") is not None:
        project_instructions(connection, owner, values["project_id"])
    head_id = values.get("head_entry_id")
    if head_id is not None and store.one_entry(connection, owner, conversation_id, head_id) is None:
        raise NotFound("there is no entry of that id in this conversation", param="head_entry_id")
    if "name" in values:
        values = {**values, "named_by": "person", "words": fold(values["name"] or "")}
    if values:
        store.change(connection, owner, conversation_id, values)
    changed = store.one(connection, owner, conversation_id)
    if changed is None:
        raise NotFound(UNKNOWN)
    return changed


def add_routes(routes: APIRouter, assistant: Assistant) -> None:
    @routes.patch("/v1/conversations/{conversation_id}", tags=["conversations"], summary="Change a conversation")
    @needs_key
    async def change(request: Request, conversation_id: str, body: ChangeBody) -> Response:
        owner = Owner.of(request.state.caller)
        one = await assistant.write(_change, owner, conversation_id, body.read())
        return json_response(conversation_shape(one, assistant.is_live))

    @routes.delete(
        "/v1/conversations/{conversation_id}", tags=["conversations"], summary="Delete a conversation", status_code=204
    )
    @needs_key
    async def delete(request: Request, conversation_id: str) -> Response:
        await assistant.forget(Owner.of(request.state.caller), conversation_id)
        return empty()
