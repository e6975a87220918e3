"""What one person keeps may not weigh on everybody: settings, lists, exports and documents are bounded, answers uncached."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest
from sqlalchemy import delete, select
from tests.entrypoints.api.conversations.conftest import Clients
from tests.entrypoints.api.conversations.test_asking import append, start, tree
from tests.entrypoints.api.conversations.test_beside import sent
from tests.fakes.doors import KEY, OTHER_KEY
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import Answer

from tramontane.entrypoints.api import answers
from tramontane.entrypoints.api.conversations import transfer
from tramontane.features.assistant import documents, turns
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.tables import entry, project
from tramontane.foundation.events import ChoiceEnd, TextDelta
from tramontane.foundation.store.database import Database


async def test_settings_of_a_conversation_are_bounded(client: httpx2.AsyncClient) -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "x" * 300_000, "parameters": {}}}
    for heavy in (
        {"metadata": {"a": "x" * 20_000}},
        {"tools": [tool]},
        {"completion_args": {"prediction": {"type": "content", "content": "x" * 300_000}}},
    ):
        body = {"model": "fake", "inputs": "hello", **heavy}
        assert (await client.post("/v1/conversations", json=body)).status_code == 422, list(heavy)
    begun = await start(client, metadata={"a": "x" * 10_000})
    path = f"/v1/conversations/{begun['conversation_id']}"
    await sent(client, "PATCH", path, {"metadata": {"a": "x" * 20_000}}, 422)


async def test_lists_leave_very_long_settings_to_the_one_that_is_opened(client: httpx2.AsyncClient) -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "x" * 30_000, "parameters": {}}}
    heavy: dict[str, Any] = {
        "instructions": "y" * 30_000, "tools": [tool], "completion_args": {"stop": ["z"], "tool_choice": "none"},
        "metadata": {"kind": "heavy"},
    }  # fmt: skip
    begun = await start(client, **heavy)
    await start(client, instructions="short", metadata={"kind": "light"})
    light, listed = await sent(client, "GET", "/v1/conversations")
    assert (light["instructions"], listed["instructions"], listed["tools"]) == ("short", None, [])
    assert (listed["completion_args"], listed["metadata"]) == (heavy["completion_args"], heavy["metadata"])
    (found,) = await sent(client, "GET", '/v1/conversations?metadata={"kind":"heavy"}')
    assert found | {"name": None} == listed | {"name": None}  # its title may come between the two
    shown = await sent(client, "GET", f"/v1/conversations/{begun['conversation_id']}")
    assert shown["instructions"] == heavy["instructions"] and len(shown["tools"]) == 1
    exported = await sent(client, "GET", "/v1/conversations/export")
    assert exported["conversations"][1]["instructions"] == heavy["instructions"]


async def test_an_export_misses_and_repeats_nothing_while_the_list_moves(
    client: httpx2.AsyncClient, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PAGE", 2)
    begun = [(await start(client, f"number {number}"))["conversation_id"] for number in range(5)]
    read, pages = assistant.read, 0

    async def moving(work: Any, *args: object) -> Any:
        """Between two pages the oldest conversation becomes the newest, and the newest goes."""
        nonlocal pages
        if work.__name__ in ("some", "page"):
            pages += 1
            if pages == 2:
                monkeypatch.setattr(assistant, "read", read)
                await append(client, begun[0], "and again")
                await sent(client, "DELETE", f"/v1/conversations/{begun[4]}", status=204)
                monkeypatch.setattr(assistant, "read", moving)
        return await read(work, *args)

    monkeypatch.setattr(assistant, "read", moving)
    exported = await sent(client, "GET", "/v1/conversations/export")
    assert sorted(one["id"] for one in exported["conversations"]) == sorted(begun)


async def test_a_documents_versions_are_bounded_together(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MOST_CHARACTERS", 100)
    begun = await start(client)
    path = f"/v1/conversations/{begun['conversation_id']}/documents"
    made = await sent(client, "POST", path, {"title": "T", "kind": "code", "content": "é" * 60})
    versions = f"{path}/{made['id']}/versions"
    await sent(client, "POST", versions, {"content": "é" * 40, "base_version": 1})
    refused = await sent(client, "POST", versions, {"content": "é", "base_version": 2}, 409)
    assert refused["code"] == "document_full"


async def test_a_project_gone_under_a_conversation_does_not_end_it(
    client: httpx2.AsyncClient, database: Database
) -> None:
    """Deleted in the moment in which the conversation moved in: with several writers neither sees the other."""
    made = await sent(client, "POST", "/v1/projects", {"name": "Wind", "instructions": "Speak of wind."})
    begun = await start(client, project_id=made["id"])
    with database.write() as connection:
        connection.execute(delete(project))
    await append(client, begun["conversation_id"])
    await sent(client, "POST", "/v1/conversations", {"model": "fake", "inputs": "x", "project_id": made["id"]}, 404)


async def test_no_browser_and_no_proxy_keeps_an_answer(client: httpx2.AsyncClient) -> None:
    begun = await start(client)
    path = f"/v1/conversations/{begun['conversation_id']}"
    for asked in ("/v1/conversations", path, f"{path}/history", f"{path}/export", "/v1/models", "/v1/nothing"):
        assert (await client.get(asked)).headers.get_list("cache-control") == ["no-store"], asked


def indexed(database: Database) -> int:
    """How many characters the search index was told."""
    with database.read() as connection:
        return sum(len(words) for words in connection.execute(select(entry.c.words)).scalars())


async def test_what_one_turn_or_one_import_tells_the_search_index_is_bounded(
    client: httpx2.AsyncClient, database: Database, room: FakeRoom
) -> None:
    """It is told inside the transaction, behind which everybody else's changes wait."""
    heavy = [{"role": "user", "content": "a," * 100_000} for _ in range(5)]
    room.servers["fake"].script = lambda ask, most: Answer(batches=[[TextDelta(0, "so")], [ChoiceEnd(0, "stop")]])
    begun = await sent(client, "POST", "/v1/conversations", {"model": "fake", "inputs": heavy})
    assert indexed(database) <= 200_010
    entries = (await tree(client, begun["conversation_id"]))["entries"]
    assert [len(one["content"]) for one in entries[:5]] == [200_000] * 5
    exported = await sent(client, "GET", f"/v1/conversations/{begun['conversation_id']}/export?format=json")
    await sent(client, "DELETE", f"/v1/conversations/{begun['conversation_id']}", status=204)
    assert indexed(database) == 0
    response = await client.post("/v1/conversations/import", content=json.dumps(exported).encode())
    assert response.json()["imported"] == 1
    assert 200_000 < indexed(database) <= 400_000


async def test_a_conversation_is_bounded_and_what_is_small_still_goes_in(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MOST_KEPT", 1000)
    monkeypatch.setattr(turns, "LARGE_TURN", 100)
    begun = await start(client, "é" * 300)
    path, long = f"/v1/conversations/{begun['conversation_id']}", "a" * 700
    assert (await sent(client, "POST", path, {"inputs": long}, 409))["code"] == "conversation_full"
    for branch in (path, f"{path}/restart"):
        body = {"inputs": long, "from_entry_id": begun["output_entry_id"]}
        assert (await sent(client, "POST", branch, body, 409))["code"] == "conversation_full"
    await sent(client, "POST", path, {"inputs": "short"})
    await sent(client, "POST", path, {"inputs": "é" * 150})
    await sent(client, "POST", "/v1/conversations", {"model": "fake", "inputs": long})


async def test_a_slow_upload_keeps_nobody_else_from_importing(client_of: Clients) -> None:
    coming, finish = asyncio.Event(), asyncio.Event()
    export = json.dumps({"format": "tramontane.conversations", "conversations": []}).encode()

    async def slowly() -> AsyncIterator[bytes]:
        coming.set()
        yield export[:10]
        await finish.wait()
        yield export[10:]

    mine, path = client_of(KEY), "/v1/conversations/import"
    slow = asyncio.create_task(mine.post(path, content=slowly()))
    async with asyncio.timeout(20):
        await coming.wait()
        second = await mine.post(path, content=export)
        assert (second.status_code, second.json()["code"]) == (409, "import_running")
        assert (await client_of(OTHER_KEY).post(path, content=export)).status_code == 200
        finish.set()
        assert (await slow).status_code == 200
        assert (await mine.post(path, content=export)).status_code == 200


@pytest.mark.parametrize(
    "path", ["{id}/history", "{id}/history?tree=true", "{id}/messages", "{id}/export?format=json", "export"]
)
async def test_a_conversation_is_written_out_beside_the_loop(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Nobody's words wait for the hundred megabytes of another's."""
    begun = await start(client)
    written: list[bool] = []

    def watched(content: Any) -> bytes:
        written.append(threading.current_thread() is threading.main_thread())
        return msgspec.json.encode(content)

    monkeypatch.setattr(answers, "_encode", watched)
    await sent(client, "GET", "/v1/conversations/" + path.replace("{id}", begun["conversation_id"]))
    assert written and not any(written)
