"""How the tests of this room talk: over HTTP as a client does, and below it as somebody who holds the answer in hand."""

import json
from typing import Any

import httpx2
from tests.fakes.engine_room import FakeRoom
from tests.features.assistant.rooms import turn_of
from tests.waiting import until

from tramontane.features.assistant.answering import Run
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import NewConversation
from tramontane.foundation.nouns import Ask, Caller, TextChunk

GREETING = "Bonjour à tous\u2028 👋"
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\"';--\u202e"
CALLER = Caller(
    organisation_id="org", workspace_id="ws_one", principal_id="someone", key_id="key-ws_one",
    roles=frozenset({"inference"}),
)  # fmt: skip


async def start(client: httpx2.AsyncClient, text: Any = "hello", **more: Any) -> dict[str, Any]:
    response = await client.post("/v1/conversations", json={"model": "fake", "inputs": text, **more})
    assert response.status_code == 200, response.text
    return response.json()


async def append(client: httpx2.AsyncClient, conversation_id: str, text: Any = "more", **more: Any) -> dict[str, Any]:
    response = await client.post(f"/v1/conversations/{conversation_id}", json={"inputs": text, **more})
    assert response.status_code == 200, response.text
    return response.json()


async def tree(client: httpx2.AsyncClient, conversation_id: str) -> dict[str, Any]:
    response = await client.get(f"/v1/conversations/{conversation_id}/history?tree=true")
    assert response.status_code == 200, response.text
    return response.json()


async def sent(client: httpx2.AsyncClient, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    response = await client.request(method, path, **({} if body is None else {"json": body}))
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def frames(text: str) -> list[dict[str, Any]]:
    """Every frame's data; checks that each says its event twice."""
    found = []
    for block in text.strip().split("\n\n"):
        if block.startswith(":"):
            continue
        event, data = block.split("\n")
        content = json.loads(data.removeprefix("data: "))
        assert event == f"event: {content['type']}"
        found.append(content)
    return found


def texts(ask: Ask) -> list[tuple[str, str]]:
    return [
        (message.role, "".join(chunk.text for chunk in message.content if isinstance(chunk, TextChunk)))
        for message in ask.messages
    ]


async def last_ask(room: FakeRoom) -> Ask:
    """The last ask that is no title."""
    asks = [ask for ask in room.asks if isinstance(ask, Ask) and not ask.id.startswith("title_")]
    return asks[-1]


async def begun_endless(assistant: Assistant, text: str = "endless") -> Run:
    run = await assistant.start(CALLER, NewConversation(model="fake"), turn_of(text, request_id="request-1"))
    await until(lambda: run.draft.tokens >= 3)
    return run


async def wait_for(client: httpx2.AsyncClient, conversation_id: str, status: str) -> dict[str, Any]:
    """The last entry, once it has that status."""

    async def last() -> dict[str, Any] | None:
        entry = (await tree(client, conversation_id))["entries"][-1]
        return entry if entry["status"] == status else None

    return await until(last)
