"""Our own export, read as strictly as anybody else's: a file says it is ours, which proves nothing."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from tramontane.features.assistant.exporting import FORMAT
from tramontane.features.assistant.files import UNREADABLE, comes_along, taken_file
from tramontane.features.assistant.imports.nouns import (
    SETTINGS,
    Imported,
    Node,
    Unreadable,
    head_of,
    is_image,
    moment,
    nearest_kept,
    optional,
    ordered,
    text,
)
from tramontane.foundation.errors import TramontaneError

SOURCE = "tramontane"
KINDS = ("message.input", "message.output", "function.call", "function.result")
STATUSES = ("done", "stopped", "interrupted", "failed")
MOST_PARTS = 200
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class Cached(msgspec.Struct, frozen=True):
    cached_tokens: Count = 0


class Speed(msgspec.Struct, frozen=True):
    first_token_ms: Amount | None = None
    tokens_per_s: Amount | None = None
    cached_tokens: Count = 0
    finish_reason: Annotated[str, msgspec.Meta(pattern="^[a-z_]{1,40}$")] | None = None


class Usage(msgspec.Struct, frozen=True):
    """As an answer's entry has it."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    prompt_tokens_details: Cached = Cached()
    tramontane: Speed = Speed()


def recognises(data: Any) -> bool:
    return isinstance(data, dict) and data.get("format") == FORMAT and isinstance(data.get("conversations"), list)


def conversations(data: dict[str, Any]) -> Iterator[Any]:
    yield from data["conversations"]


def read(one: Any) -> Imported:
    """One conversation. Raises Unreadable."""
    if not isinstance(one, dict) or not isinstance(one.get("entries"), list):
        raise Unreadable("it has no entries")
    nodes: dict[str, Node] = {}
    parents: dict[str, str | None] = {}
    for entry in one["entries"]:
        node = _node(entry) if isinstance(entry, dict) else None
        if node is not None:
            nodes[node.node_id], parents[node.node_id] = node, node.parent_id
    found = ordered(nodes, parents)
    created_ns = moment(one.get("created_at"))
    return Imported(
        origin=f"{SOURCE}:{text(one.get('id'), 200)}",
        name=optional(one.get("name"), 200),
        nodes=found,
        head_id=head_of(nearest_kept(one.get("head_entry_id"), nodes, parents), found),
        model=text(one.get("model"), 256),
        instructions=optional(one.get("instructions"), 200_000),
        description=optional(one.get("description"), 200_000),
        settings={name: one[name] for name in SETTINGS if one.get(name)},
        pinned=one.get("pinned") is True,
        archived=one.get("archived") is True,
        created_ns=created_ns,
        updated_ns=moment(one.get("updated_at")) or created_ns,
    )


def _node(entry: dict[str, Any]) -> Node | None:
    kind, body, node_id = entry.get("type"), entry.get("body"), text(entry.get("id"), 200)
    if kind not in KINDS or not isinstance(body, dict) or not node_id:
        return None
    parent_id, status = entry.get("parent_id"), entry.get("status")
    role = entry.get("role") if entry.get("role") in ("user", "assistant") else None
    if kind in ("message.input", "message.output") and role is None:
        return None
    return Node(
        node_id=node_id,
        parent_id=parent_id if isinstance(parent_id, str) else None,
        kind=kind,
        role=role,
        body=_body(kind, body),
        model=optional(entry.get("model"), 256),
        usage=_usage(entry.get("usage")) if kind == "message.output" else None,
        status=status if status in STATUSES else "done",
        created_ns=moment(entry.get("created_at")),
    )


def _usage(written: Any) -> dict[str, Any] | None:
    """What an answer cost, as it is shown beside it; nothing is accounted by it."""
    try:
        return msgspec.to_builtins(msgspec.convert(written, Usage))
    except msgspec.ValidationError:
        return None


def _body(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Only the fields of its kind, each of its type."""
    if kind == "function.call":
        return {name: text(body.get(name)) for name in ("tool_call_id", "name", "arguments")}
    if kind == "function.result":
        return {name: text(body.get(name)) for name in ("tool_call_id", "result")}
    content = body.get("content")
    if not isinstance(content, list):
        return {"content": text(content)}
    parts = [_part(part) for part in content[:MOST_PARTS] if isinstance(part, dict)]
    return {"content": [part for part in parts if part is not None]}


def _part(part: dict[str, Any]) -> dict[str, Any] | None:
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": text(part.get("text"))}
    if kind == "thinking":
        pieces = part.get("thinking")
        said = [text(one.get("text")) for one in pieces if isinstance(one, dict)] if isinstance(pieces, list) else []
        return {"type": "thinking", "thinking": [{"type": "text", "text": "".join(said) or text(pieces)}]}
    if kind == "image_url" and is_image(part.get("image_url")):
        return {"type": "image_url", "image_url": text(part["image_url"])}
    if kind == "document_url":
        return _file(text(part.get("document_url")), text(part.get("document_name"), 400) or "file")
    return None


def _file(url: str, name: str) -> dict[str, Any] | None:
    """Only what came along, and what the API would have taken; in the place of anything else stands that it was there."""
    if not comes_along(url):
        return None
    try:
        return {"type": "document_url", "document_url": taken_file(url, name, ""), "document_name": name}
    except TramontaneError:
        return {"type": "text", "text": f"[file: {name}]\n{UNREADABLE}"}
