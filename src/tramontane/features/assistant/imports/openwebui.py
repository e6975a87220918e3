"""Open WebUI's export: a list of chats whose messages stand in `chat.history.messages`, a tree by `parentId`."""

import re
from collections.abc import Iterator
from typing import Any

from tramontane.features.assistant.imports.nouns import (
    Imported,
    Node,
    Unreadable,
    gathered,
    head_of,
    is_image,
    nearest_kept,
    optional,
    ordered,
    seconds,
    text,
)

SOURCE = "openwebui"
# Thoughts stand in the text itself, as a folded element.
_THOUGHTS = re.compile(r'<details type="reasoning"[^>]*>\s*(?:<summary>[^<]*</summary>)?(.*?)</details>\s*', re.DOTALL)


def recognises(data: Any) -> bool:
    return isinstance(data, list) and any(_history(one) is not None for one in data[:20])


def conversations(data: list[Any]) -> Iterator[Any]:
    yield from data


def _history(one: Any) -> dict[str, Any] | None:
    chat = one.get("chat", one) if isinstance(one, dict) else None
    history = chat.get("history") if isinstance(chat, dict) else None
    return history if isinstance(history, dict) and isinstance(history.get("messages"), dict) else None


def read(one: Any) -> Imported:
    """One chat. Raises Unreadable."""
    history = _history(one)
    if history is None:
        raise Unreadable("it has no history of messages")
    chat = one.get("chat", one)
    nodes, parents = gathered(history["messages"], "parentId", _node)
    found = ordered(nodes, parents)
    models = chat.get("models")
    created_ns = seconds(one.get("created_at")) or seconds(chat.get("timestamp"))
    return Imported(
        origin=f"{SOURCE}:{text(one.get('id') or chat.get('id'), 200)}",
        name=optional(one.get("title") or chat.get("title"), 200),
        nodes=found,
        head_id=head_of(nearest_kept(history.get("currentId"), nodes, parents), found),
        model=text(models[0], 200) if isinstance(models, list) and models else "",
        instructions=_instructions(chat),
        pinned=one.get("pinned") is True,
        archived=one.get("archived") is True,
        created_ns=created_ns,
        updated_ns=seconds(one.get("updated_at")) or created_ns,
    )


def _instructions(chat: dict[str, Any]) -> str | None:
    params = chat.get("params")
    return optional(params.get("system"), 200_000) if isinstance(params, dict) else None


def _node(node_id: str, message: dict[str, Any]) -> Node | None:
    role, said = message.get("role"), text(message.get("content"))
    if role not in ("user", "assistant"):
        return None
    body = _answer(said) if role == "assistant" else _question(said, message.get("files"))
    if not body["content"]:
        return None
    return Node(
        node_id=node_id,
        parent_id=None,
        kind="message.input" if role == "user" else "message.output",
        role=role,
        body=body,
        model=optional(message.get("model"), 200) if role == "assistant" else None,
        status="done" if role == "user" or message.get("done", True) is not False else "interrupted",
        created_ns=seconds(message.get("timestamp")),
    )


def _answer(said: str) -> dict[str, Any]:
    thoughts = [found.strip() for found in _THOUGHTS.findall(said)] if "<details" in said else []
    if not thoughts:
        return {"content": said}
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "\n\n".join(thoughts)}]}
    return {"content": [thinking, {"type": "text", "text": _THOUGHTS.sub("", said)}]}


def _question(said: str, files: Any) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    for one in files if isinstance(files, list) else ():
        if isinstance(one, dict) and is_image(one.get("url")):
            parts.append({"type": "image_url", "image_url": text(one["url"])})
        elif isinstance(one, dict) and one.get("name"):
            parts.append({"type": "text", "text": f"[{text(one['name'], 200)}]"})
    return {"content": [{"type": "text", "text": said}, *parts] if parts else said}
