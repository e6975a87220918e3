"""What a model, a caller or a failing store may do to a conversation, and what must hold all the same."""

import asyncio
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select
from tests.entrypoints.api.conversations.conftest import Clients
from tests.entrypoints.api.conversations.routes import BODIES, ids_of, routes_with_ids
from tests.entrypoints.api.conversations.talking import CALLER, frames, start, tree, wait_for
from tests.fakes.doors import KEY, USAGE_KEY
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import Answer
from tests.features.assistant.rooms import turn_of
from tests.waiting import PATIENCE_S, until

from tramontane.entrypoints.api import Doors
from tramontane.features.assistant import documents, shares, store
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.documents import NewDocument
from tramontane.features.assistant.nouns import NewConversation, Numbers, Owner
from tramontane.foundation.errors import NotFound
from tramontane.foundation.events import ChoiceEnd, Event, Failed, TextDelta, ThinkingDelta
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.tables import metadata


async def test_a_failure_that_cannot_be_written_down_still_has_a_last_word(
    assistant: Assistant, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(turn: Any, entries: Any) -> None:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(assistant, "finish", broken)
    async with asyncio.timeout(PATIENCE_S):
        response = await client.post("/v1/conversations", json={"model": "fake", "inputs": "hello", "stream": True})
    found = frames(response.text)
    assert found[-1]["type"] == "conversation.response.error" and "saved" in found[-1]["message"]
    await wait_for(client, found[0]["conversation_id"], "interrupted")


async def test_what_a_failing_server_says_is_kept_whatever_it_holds(
    assistant: Assistant, client: httpx2.AsyncClient, room: FakeRoom
) -> None:
    failure = Failed("engine_failed", "broken\x00pipe")
    room.servers["fake"].script = lambda ask, most: Answer(batches=[[TextDelta(0, "half\x00way")]], failure=failure)
    async with asyncio.timeout(PATIENCE_S):
        run = await assistant.start(CALLER, NewConversation(model="fake"), turn_of("hello", request_id="request-1"))
        await run.finished()
    last = (await tree(client, run.turn.conversation.conversation_id))["entries"][-1]
    assert (last["status"], last["content"]) == ("failed", "half\x00way")
    assert last["error"]["message"] == "broken\ufffdpipe"


async def test_a_metadata_filter_that_nests_without_end_is_refused(client: httpx2.AsyncClient) -> None:
    response = await client.get("/v1/conversations", params={"metadata": "[" * 5000})
    assert response.status_code == 422


async def test_a_key_that_may_not_ask_sees_and_changes_no_conversation(client_of: Clients, doors: Doors) -> None:
    """The same person's: a key for sums is given to programs that are no business of theirs."""
    ids = await ids_of(client_of(KEY))
    client = client_of(USAGE_KEY)
    for method, path in [*routes_with_ids(doors), ("GET", "/v1/conversations"), ("GET", "/v1/conversations/export"),
                         ("POST", "/v1/conversations/import"), ("GET", "/v1/conversations/search"),
                         ("GET", "/v1/projects"), ("GET", "/v1/shortcuts")]:  # fmt: skip
        response = await client.request(
            method, path.format(**ids), json=BODIES.get((method, path), lambda ids: {})(ids)
        )
        assert response.status_code == 403, (method, path)


@pytest.mark.parametrize("what", ["share", "document"])
async def test_nothing_is_hung_on_a_conversation_that_is_being_deleted(
    client: httpx2.AsyncClient, assistant: Assistant, database: Database, what: str
) -> None:
    begun = await start(client)
    owner, conversation_id = Owner.of(CALLER), begun["conversation_id"]
    with database.write() as connection:
        store.remove(connection, owner, conversation_id)
        if what == "share":
            work = assistant.write(shares.add, owner, conversation_id, 1)
        else:
            new = NewDocument(title="t", kind="code", content="x")
            work = assistant.write(documents.add, owner, conversation_id, new, 1)
        hanging = asyncio.create_task(work)
        await asyncio.sleep(0.3)
        assert not hanging.done()
    with pytest.raises(NotFound):
        await hanging


def test_numbers_are_never_the_same_twice_whoever_asks() -> None:
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        numbers = Numbers(lambda: 0)
        with ThreadPoolExecutor(4) as pool:
            given = list(pool.map(lambda _: [numbers.next() for _ in range(20_000)], range(4)))
    finally:
        sys.setswitchinterval(switching)
    assert len(set().union(*given)) == 80_000


@pytest.mark.parametrize("text", ["zanzibar", "think zanzibar", "fail zanzibar"])
async def test_a_temporary_chat_is_nowhere_afterwards(
    client: httpx2.AsyncClient, assistant: Assistant, room: FakeRoom, database: Database, text: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    failure = Failed("engine_failed", "the server is gone") if "fail" in text else None
    batches: list[list[Event]] = [[TextDelta(0, "zanzibar it is")], [ChoiceEnd(0, "stop")]]
    if "think" in text:
        batches.insert(0, [ThinkingDelta(0, "of zanzibar")])
    begun = await start(client, "kept")
    await until(lambda: not assistant._after)  # its title
    room.servers["fake"].script = lambda ask, most: Answer(batches=batches, failure=failure)
    asks = len(room.asks)
    for path in ("/v1/conversations", f"/v1/conversations/{begun['conversation_id']}"):
        for stream in (True, False):
            body = {"model": "fake", "inputs": text, "store": False, "stream": stream, "name": "zanzibar"}
            response = await client.post(path, json=body, headers={"idempotency-key": f"zanzibar-{stream}"})
            assert response.status_code == (502 if failure and not stream else 200)
    await assistant.close()
    assert len(room.asks) == asks + 4
    assert not places_of("zanzibar", database)
    assert "zanzibar" not in caplog.text


def places_of(word: str, database: Database) -> list[str]:
    """Where a database holds it, its indexes and whatever it keeps aside included."""
    with database.read() as connection:
        found = [
            table.name
            for table in metadata.sorted_tables
            if any(word in str(row) for row in connection.execute(select(table)))
        ]
    if database.kind == "sqlite" and word.encode() in Path(str(database.url.database)).read_bytes():
        found.append("the file")
    return found
