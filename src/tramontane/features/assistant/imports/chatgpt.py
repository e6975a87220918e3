"""ChatGPT's export: `conversations.json`, a list of conversations whose messages hang in `mapping`, a tree of nodes.

Kept are what people and the assistant said; tools, hidden turns and system texts are passed over, their children kept.
"""

from collections.abc import Iterator
from typing import Any

from tramontane.features.assistant.imports.nouns import (
    Imported,
    Node,
    Unreadable,
    gathered,
    head_of,
    nearest_kept,
    optional,
    ordered,
    seconds,
    text,
)

SOURCE = "chatgpt"
SPOKEN = frozenset({"text", "multimodal_text"})


def recognises(data: Any) -> bool:
    return isinstance(data, list) and any(isinstance(one, dict) and "mapping" in one for one in data[:20])


def conversations(data: list[Any]) -> Iterator[Any]:
    yield from data


def read(one: Any) -> Imported:
    """One conversation. Raises Unreadable."""
    if not isinstance(one, dict) or not isinstance(one.get("mapping"), dict):
        raise Unreadable("it has no mapping of messages")
    nodes, parents = gathered(one["mapping"], "parent", _node)
    found = ordered(nodes, parents)
    created_ns = seconds(one.get("create_time"))
    return Imported(
        origin=f"{SOURCE}:{text(one.get('conversation_id') or one.get('id'), 200)}",
        name=optional(one.get("title"), 200),
        nodes=found,
        head_id=head_of(nearest_kept(one.get("current_node"), nodes, parents), found),
        model=text(one.get("default_model_slug"), 200),
        pinned=one.get("is_starred") is True,
        archived=one.get("is_archived") is True,
        created_ns=created_ns,
        updated_ns=seconds(one.get("update_time")) or created_ns,
    )


def _node(node_id: str, node: dict[str, Any]) -> Node | None:
    """What was said in one node, if anybody was to read it."""
    message = node.get("message")
    if not isinstance(message, dict):
        return None
    author, content, about = message.get("author"), message.get("content"), message.get("metadata")
    role = author.get("role") if isinstance(author, dict) else None
    if role not in ("user", "assistant") or not isinstance(content, dict):
        return None
    if text(content.get("content_type")) not in SPOKEN:
        return None
    about = about if isinstance(about, dict) else {}
    if about.get("is_visually_hidden_from_conversation") or message.get("recipient", "all") != "all":
        return None
    said = _said(content.get("parts"))
    if not said:
        return None
    return Node(
        node_id=node_id,
        parent_id=None,
        kind="message.input" if role == "user" else "message.output",
        role=role,
        body={"content": said},
        model=optional(about.get("model_slug"), 200) if role == "assistant" else None,
        created_ns=seconds(message.get("create_time")),
    )


def _said(parts: Any) -> str:
    """Text as it stands; of images and sounds, which lie elsewhere, only that they were there."""
    said = []
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, str):
            said.append(text(part))
        elif isinstance(part, dict):
            kind = text(part.get("content_type"), 40)
            said.append(text(part.get("text")) or ("[image]" if "image" in kind else f"[{kind or 'attachment'}]"))
    return "\n".join(piece for piece in said if piece)
