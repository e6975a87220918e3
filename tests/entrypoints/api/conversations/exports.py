"""Exports of other assistants as they come out of them, and bringing one in."""

import io
import json
import zipfile
from typing import Any

import httpx2
from tests.entrypoints.api.conversations.talking import SCRIPT


async def brought(client: httpx2.AsyncClient, content: bytes, status: int = 200) -> Any:
    response = await client.post("/v1/conversations/import", content=content)
    assert response.status_code == status, response.text
    return response.json()


def zipped(**files: Any) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content if isinstance(content, bytes) else json.dumps(content))
    return held.getvalue()


def chatgpt() -> list[dict[str, Any]]:
    def node(name: str, parent: str | None, role: str, said: str, **more: Any) -> dict[str, Any]:
        message = {
            "id": name, "author": {"role": role, "name": None, "metadata": {}}, "create_time": 1_700_000_000.5,
            "content": {"content_type": "text", "parts": [said]}, "status": "finished_successfully", "weight": 1.0,
            "metadata": {"model_slug": "gpt-4o"}, "recipient": "all", **more,
        }  # fmt: skip
        return {"id": name, "message": message, "parent": parent, "children": []}

    mapping = {
        "root": {"id": "root", "message": None, "parent": None, "children": ["sys"]},
        "sys": node("sys", "root", "system", ""),
        "q": node("q", "sys", "user", "Where does the mistral blow?"),
        "tool": node("tool", "q", "tool", "looked up", recipient="all"),
        "a1": node("a1", "tool", "assistant", "In the Rhône valley."),
        "a2": node("a2", "q", "assistant", "From the north."),
        "hidden": node("hidden", "a1", "user", "x", metadata={"is_visually_hidden_from_conversation": True}),
    }
    return [
        {
            "title": "Winds " + SCRIPT, "create_time": 1_700_000_000.1, "update_time": 1_700_000_100.2,
            "mapping": mapping, "current_node": "hidden", "conversation_id": "abc", "id": "abc", "is_archived": False,
        },
        {"title": "broken", "mapping": None},
    ]  # fmt: skip


def lechat() -> list[dict[str, Any]]:
    common = {"version": 0, "chatId": "chat-1", "reaction": "neutral", "canvas": [], "quotes": []}
    return [
        {**common, "id": "m1", "role": "user", "content": "Bonjour", "contentChunks": None,
         "createdAt": "2025-06-01T10:00:00.000Z", "files": [{"type": "text", "name": "notes.txt"}]},
        {**common, "id": "m2", "role": "assistant", "content": "", "createdAt": "2025-06-01T10:00:05.000Z",
         "contentChunks": [{"type": "text", "text": "Salut"}, {"type": "tool_call"}, {"type": "text", "text": " !"}],
         "files": []},
    ]  # fmt: skip


def openwebui() -> list[dict[str, Any]]:
    messages = {
        "u": {"id": "u", "parentId": None, "childrenIds": ["a", "b"], "role": "user", "content": "Name a wind",
              "timestamp": 1_700_000_000, "files": [{"type": "image", "url": "data:image/png;base64,iVBORw0KGgo="},
                                                    {"type": "image", "url": "https://example.org/x.png"}]},
        "a": {"id": "a", "parentId": "u", "childrenIds": [], "role": "assistant", "model": "llama3",
              "content": '<details type="reasoning" done="true">\n<summary>Thought</summary>\n> hm\n</details>\nBora',
              "timestamp": 1_700_000_001, "done": True},
        "b": {"id": "b", "parentId": "u", "childrenIds": [], "role": "assistant", "content": "Foehn", "model": "llama3",
              "timestamp": 1_700_000_002},
    }  # fmt: skip
    history = {"messages": messages, "currentId": "b"}
    chat = {"id": "", "title": "Winds", "models": ["llama3"], "history": history, "params": {"system": "Be brief."}}
    return [{"id": "owu", "user_id": "u", "title": "Winds", "chat": chat, "created_at": 1_700_000_000,
             "updated_at": 1_700_000_002, "archived": False, "pinned": True}]  # fmt: skip
