"""Le Chat's export: one file `chat-<id>.json` per conversation, a list of messages with `chatId`, `role`, `contentChunks`.

The list is a line in the order of time unless its messages name their parents.
"""

from collections.abc import Iterator
from typing import Any

from tramontane.features.assistant.imports.nouns import Imported, Node, Unreadable, head_of, moment, ordered, text

SOURCE = "lechat"


def recognises(data: Any) -> bool:
    first = data[0] if isinstance(data, list) and data else None
    if isinstance(first, list):
        return recognises(first)
    return isinstance(first, dict) and "chatId" in first and "role" in first


def conversations(data: list[Any]) -> Iterator[Any]:
    """One file is one conversation; several may be gathered in a list of lists."""
    if data and isinstance(data[0], list):
        yield from data
    else:
        yield data


def read(one: Any) -> Imported:
    """One conversation. Raises Unreadable."""
    messages = [message for message in one if isinstance(message, dict)] if isinstance(one, list) else []
    if not messages:
        raise Unreadable("it has no messages", "no_messages")
    messages.sort(key=lambda message: moment(message.get("createdAt")))
    tree = any(isinstance(message.get("parentId"), str) for message in messages)
    nodes: dict[str, Node] = {}
    parents: dict[str, str | None] = {}
    before: str | None = None
    for place, message in enumerate(messages):
        node_id = text(message.get("id"), 200) or f"message {place}"
        # An answer made again stands in the list a second time, under the same id and another version.
        node_id = node_id if node_id not in parents else f"{node_id} {place}"
        parents[node_id] = message.get("parentId") if tree else before
        before = node_id
        kept = _node(node_id, message)
        if kept is not None:
            nodes[node_id] = kept
    parents = {node_id: above if isinstance(above, str) else None for node_id, above in parents.items()}
    found = ordered(nodes, parents)
    times = [node.created_ns for node in found if node.created_ns]
    chat_id = text(messages[0].get("chatId"), 200)
    return Imported(
        origin=f"{SOURCE}:{chat_id}",
        name=None,
        nodes=found,
        head_id=head_of(before, found),
        created_ns=min(times, default=0),
        updated_ns=max(times, default=0),
    )


def _node(node_id: str, message: dict[str, Any]) -> Node | None:
    role = message.get("role")
    if role not in ("user", "assistant"):
        return None
    said = text(message.get("content")) or _said(message.get("contentChunks"))
    files = message.get("files")
    names = [text(one.get("name"), 200) for one in files if isinstance(one, dict)] if isinstance(files, list) else []
    said = "\n".join(piece for piece in (said, *(f"[{name}]" for name in names if name)) if piece)
    if not said:
        return None
    return Node(
        node_id=node_id,
        parent_id=None,
        kind="message.input" if role == "user" else "message.output",
        role=role,
        body={"content": said},
        created_ns=moment(message.get("createdAt")),
    )


def _said(chunks: Any) -> str:
    pieces = [chunk for chunk in chunks if isinstance(chunk, dict)] if isinstance(chunks, list) else []
    return "".join(text(chunk.get("text")) for chunk in pieces if chunk.get("type") == "text")
