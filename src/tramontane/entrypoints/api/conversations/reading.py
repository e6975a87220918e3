"""Looking at conversations: lists, one, its history as a path or as a tree, its messages, and search."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.answers import encoded_response, json_response, with_list
from tramontane.entrypoints.api.conversations.shapes import IsLive, conversation_shape, entry_shape, node_shape
from tramontane.entrypoints.api.policy import needs_inference
from tramontane.features.assistant import reading, search, store
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import Conversation, Entry, Owner, clean
from tramontane.features.assistant.reading import Wanted
from tramontane.foundation.clock import iso_time
from tramontane.foundation.errors import InvalidFields

MOST_ROWS = 1000
MESSAGES = ("message.input", "message.output")


def number_of(request: Request, name: str, default: int, most: int, least: int = 0) -> int:
    """A whole number of the query. Raises InvalidFields."""
    written = request.query_params.get(name)
    if written is None:
        return default
    if not written.isascii() or not written.isdigit() or len(written) > 9 or not least <= int(written) <= most:
        raise InvalidFields.of(name, f"{name} must be a whole number from {least} to {most}")
    return int(written)


def flag_of(request: Request, name: str) -> bool | None:
    """Raises InvalidFields."""
    written = request.query_params.get(name)
    if written is None or written == "":
        return None
    if written not in ("true", "false"):
        raise InvalidFields.of(name, f"{name} must be true or false")
    return written == "true"


def _metadata_of(request: Request) -> dict[str, Any] | None:
    """What conversations must carry. Raises InvalidFields."""
    written = request.query_params.get("metadata")
    if not written:
        return None
    try:
        read = msgspec.json.decode(written)
    except (msgspec.MsgspecError, RecursionError):
        read = ()
    # Mistral's client writes null, or a word of its own in quotes, where nothing was asked for.
    if read is None or isinstance(read, str):
        return None
    if not isinstance(read, dict):
        raise InvalidFields.of("metadata", "metadata must be a JSON object")
    return read


def add_routes(routes: APIRouter, assistant: Assistant) -> None:
    """`search` is a word where other paths have an id, so it comes before those."""
    _add_lists(routes, assistant)
    _add_histories(routes, assistant)


def _add_lists(routes: APIRouter, assistant: Assistant) -> None:
    @routes.get("/v1/conversations", tags=["conversations"], summary="Your conversations, the latest first")
    @needs_inference
    async def conversations(request: Request) -> Response:
        page, size = number_of(request, "page", 0, 10**6), number_of(request, "page_size", 100, MOST_ROWS, 1)
        wanted = Wanted(
            archived=flag_of(request, "archived"),
            pinned=flag_of(request, "pinned"),
            project_id=clean(request.query_params.get("project_id") or "") or None,
            metadata=_metadata_of(request),
        )
        live = assistant.living()
        found = await assistant.read(reading.page, Owner.of(request.state.caller), wanted, page, size)
        return json_response([conversation_shape(one, live) for one in found])

    @routes.get("/v1/conversations/search", tags=["conversations"], summary="Find words in your conversations")
    @needs_inference
    async def find(request: Request) -> Response:
        size = number_of(request, "page_size", 20, 100, 1)
        looked_for = clean(request.query_params.get("q", ""))
        hits = await assistant.read(search.find, Owner.of(request.state.caller), looked_for, size)
        shown = [
            {
                "conversation_id": hit.conversation_id, "name": hit.name, "entry_id": hit.entry_id,
                "snippet": hit.snippet, "updated_at": iso_time(hit.updated_ns),
            }
            for hit in hits
        ]  # fmt: skip
        return json_response(shown)


def _add_histories(routes: APIRouter, assistant: Assistant) -> None:
    @routes.get("/v1/conversations/{conversation_id}", tags=["conversations"], summary="One conversation")
    @needs_inference
    async def conversation(request: Request, conversation_id: str) -> Response:
        live = assistant.living()
        one = await assistant.read(store.one, Owner.of(request.state.caller), conversation_id)
        return json_response(conversation_shape(one, live))

    @routes.get("/v1/conversations/{conversation_id}/history", tags=["conversations"], summary="Its entries")
    @needs_inference
    async def history(request: Request, conversation_id: str) -> Response:
        owner, whole = Owner.of(request.state.caller), flag_of(request, "tree") is True
        live = assistant.living()
        found = await assistant.read(reading.history, owner, conversation_id, whole)
        return encoded_response(await asyncio.to_thread(_tree if whole else _path, *found, live))

    @routes.get("/v1/conversations/{conversation_id}/messages", tags=["conversations"], summary="Its messages")
    @needs_inference
    async def messages(request: Request, conversation_id: str) -> Response:
        owner = Owner.of(request.state.caller)
        found = await assistant.read(reading.history, owner, conversation_id, False)
        return encoded_response(await asyncio.to_thread(_messages, *found))


# A conversation may hold a hundred megabytes: what is sent of it is written beside the event loop.
def _path(one: Conversation, entries: Sequence[Entry], live: IsLive) -> bytes:
    return with_list(_history_of(one), "entries", map(entry_shape, entries))


def _tree(one: Conversation, entries: Sequence[Entry], live: IsLive) -> bytes:
    head = _history_of(one) | {"head_entry_id": one.head_entry_id}
    return with_list(head, "entries", (node_shape(entry, live) for entry in entries))


def _history_of(one: Conversation) -> dict[str, Any]:
    return {"object": "conversation.history", "conversation_id": one.conversation_id}


def _messages(one: Conversation, entries: Sequence[Entry]) -> bytes:
    shown = {"object": "conversation.messages", "conversation_id": one.conversation_id}
    return with_list(shown, "messages", (entry_shape(entry) for entry in entries if entry.kind in MESSAGES))
