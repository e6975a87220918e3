"""Conversations as files a person takes along: JSON that imports again with its whole tree, and Markdown to read."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection

from tramontane.features.assistant import content, store
from tramontane.features.assistant.nouns import Conversation, Entry, Owner
from tramontane.foundation.clock import iso_time

FORMAT = "tramontane.conversations"
VERSION = 1
SPEAKERS = {"message.output": "Assistant", "function.call": "Function call", "function.result": "Function result"}


def whole(connection: Connection, owner: Owner, conversation_id: str) -> dict[str, Any]:
    """One conversation with all its branches. Raises NotFound."""
    one = store.one(connection, owner, conversation_id)
    return exported(one, store.tree(connection, owner, conversation_id))


def some(connection: Connection, owner: Owner, conversation_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Some of an owner's conversations, to be written one after the other; without those deleted meanwhile."""
    found = (store.find(connection, owner, one) for one in conversation_ids)
    return [exported(one, store.tree(connection, owner, one.conversation_id)) for one in found if one is not None]


def markdown(connection: Connection, owner: Owner, conversation_id: str) -> bytes:
    """The branch that is shown, to be read, in UTF-8. Raises NotFound."""
    one = store.one(connection, owner, conversation_id)
    entries = store.path(connection, owner, conversation_id, one.head_entry_id)
    # Entry by entry: nobody else runs during one piece of work, however long its text.
    return b"\n\n".join(part.encode() for part in _written(one, entries)) + b"\n"


def exported(one: Conversation, entries: Sequence[Entry]) -> dict[str, Any]:
    """All there is of it, as an import reads it back; its shares, documents and project stay here."""
    return {
        "id": one.conversation_id,
        "name": one.name,
        "description": one.description,
        "model": one.model,
        "instructions": one.instructions,
        "tools": one.tools,
        "completion_args": one.completion_args,
        "metadata": one.metadata,
        "pinned": one.pinned,
        "archived": one.archived,
        "created_at": iso_time(one.created_ns),
        "updated_at": iso_time(one.updated_ns),
        "head_entry_id": one.head_entry_id,
        "entries": [_entry(entry) for entry in entries],
    }


def _entry(one: Entry) -> dict[str, Any]:
    return {
        "id": one.entry_id,
        "parent_id": one.parent_id,
        "type": one.kind,
        "role": one.role,
        "status": "interrupted" if one.status == "running" else one.status,
        "model": one.model,
        "usage": one.usage,
        "created_at": iso_time(one.created_ns),
        "body": one.body,
    }


def _written(one: Conversation, entries: Sequence[Entry]) -> Iterator[str]:
    yield f"# {_line(one.name or one.preview or 'Conversation')}"
    yield f"{iso_time(one.created_ns)[:10]} · {_line(one.model)}"
    if one.instructions:
        yield "> " + one.instructions.replace("\n", "\n> ")
    for entry in entries:
        speaker = SPEAKERS.get(entry.kind) or ("You" if entry.role == "user" else "Assistant")
        yield f"## {speaker}"
        if entry.kind == "function.call":
            yield f"{_line(str(entry.body.get('name', '')))}({entry.body.get('arguments', '')})"
        else:
            yield content.text_of(entry.body) or "…"
        for name in _attached(entry):
            yield f"*{_line(name)}*"


def _attached(one: Entry) -> list[str]:
    parts = one.body.get("content")
    if not isinstance(parts, list):
        return []
    names = {"document_url": "file", "image_url": "image"}
    return [str(part.get("document_name") or names[part["type"]]) for part in parts if part.get("type") in names]


def _line(text: str) -> str:
    return " ".join(text.split())
