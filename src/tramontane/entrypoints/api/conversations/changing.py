"""Renaming, pinning, archiving, moving and deleting a conversation."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.answers import empty, json_response
from tramontane.entrypoints.api.conversations.bodies import ChangeBody
from tramontane.entrypoints.api.conversations.shapes import conversation_shape
from tramontane.entrypoints.api.policy import needs_inference
from tramontane.features.assistant import changing
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import Owner


def add_routes(routes: APIRouter, assistant: Assistant) -> None:
    @routes.patch("/v1/conversations/{conversation_id}", tags=["conversations"], summary="Change a conversation")
    @needs_inference
    async def change(request: Request, conversation_id: str, body: ChangeBody) -> Response:
        owner = Owner.of(request.state.caller)
        live = assistant.living()
        one = await assistant.add(changing.change, owner, conversation_id, body.read())
        return json_response(conversation_shape(one, live))

    @routes.delete(
        "/v1/conversations/{conversation_id}", tags=["conversations"], summary="Delete a conversation", status_code=204
    )
    @needs_inference
    async def delete(request: Request, conversation_id: str) -> Response:
        await assistant.forget(Owner.of(request.state.caller), conversation_id)
        return empty()
