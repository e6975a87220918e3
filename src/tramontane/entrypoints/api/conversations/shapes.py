"""How conversations and entries look outside: Mistral's shapes, with our own fields beside theirs."""

from collections.abc import Callable
from typing import Any

from tramontane.features.assistant.nouns import Conversation, Entry
from tramontane.foundation.clock import iso_time

IsLive = Callable[[str | None], bool]


def conversation_shape(one: Conversation, is_live: IsLive) -> dict[str, Any]:
    """One conversation as lists and look-ups show it."""
    return {
        "object": "conversation",
        "id": one.conversation_id,
        "created_at": iso_time(one.created_ns),
        "updated_at": iso_time(one.updated_ns),
        "model": one.model,
        "name": one.name,
        "description": one.description,
        "instructions": one.instructions,
        "tools": one.tools,
        "completion_args": one.completion_args,
        "metadata": one.metadata,
        "preview": one.preview,
        "pinned": one.pinned,
        "archived": one.archived,
        "project_id": one.project_id,
        "head_entry_id": one.head_entry_id,
        "running": is_live(one.running_entry_id),
    }


def entry_shape(one: Entry) -> dict[str, Any]:
    """One entry in Mistral's shape."""
    shown: dict[str, Any] = {
        "object": "entry",
        "type": one.kind,
        "id": one.entry_id,
        "created_at": iso_time(one.created_ns),
        "completed_at": None if one.completed_ns is None else iso_time(one.completed_ns),
    }
    if one.role is not None:
        shown["role"] = one.role
    if one.model is not None:
        shown["model"] = one.model
    return shown | one.body


def node_shape(one: Entry, is_live: IsLive) -> dict[str, Any]:
    """One entry with its place in the tree. What nobody writes any more is interrupted, whatever its row says."""
    status = one.status
    if status == "running" and not is_live(one.entry_id):
        status = "interrupted"
    shown = entry_shape(one) | {"parent_id": one.parent_id, "status": status}
    if one.error_code is not None:
        shown["error"] = {"code": one.error_code, "message": one.error_message}
    if one.usage is not None:
        shown["usage"] = one.usage
    return shown
