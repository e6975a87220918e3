"""What a model, a caller or a failing store may do to a conversation, and what must hold all the same."""

import asyncio
from typing import Any

import httpx2
import pytest
from tests.entrypoints.api.conversations.test_asking import frames, tree
from tests.entrypoints.api.conversations.test_faults import CALLER, turn
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import Answer

from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import NewConversation
from tramontane.foundation.events import Failed, TextDelta


async def test_a_failure_that_cannot_be_written_down_still_has_a_last_word(
    assistant: Assistant, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(turn: Any, entries: Any) -> None:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(assistant, "finish", broken)
    async with asyncio.timeout(20):
        response = await client.post("/v1/conversations", json={"model": "fake", "inputs": "hello", "stream": True})
    found = frames(response.text)
    assert found[-1]["type"] == "conversation.response.error" and "saved" in found[-1]["message"]
    last = (await tree(client, found[0]["conversation_id"]))["entries"][-1]
    assert last["status"] == "interrupted"


async def test_what_a_failing_server_says_is_kept_whatever_it_holds(
    assistant: Assistant, client: httpx2.AsyncClient, room: FakeRoom
) -> None:
    failure = Failed("engine_failed", "broken\x00pipe")
    room.servers["fake"].script = lambda ask, most: Answer(batches=[[TextDelta(0, "half\x00way")]], failure=failure)
    async with asyncio.timeout(20):
        run = await assistant.start(CALLER, NewConversation(model="fake"), turn("hello", "request-1"))
        await run.finished()
    last = (await tree(client, run.turn.conversation.conversation_id))["entries"][-1]
    assert (last["status"], last["content"]) == ("failed", "half\x00way")
    assert last["error"]["message"] == "broken\ufffdpipe"


async def test_a_metadata_filter_that_nests_without_end_is_refused(client: httpx2.AsyncClient) -> None:
    response = await client.get("/v1/conversations", params={"metadata": "[" * 5000})
    assert response.status_code == 422
