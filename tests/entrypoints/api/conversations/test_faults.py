"""Two tabs at once, double sendings, stops, listeners that leave, dying engines, and what a restart finds."""

import asyncio
import contextlib
import json
import time
from typing import Any

import httpx2
import pytest
from tests.entrypoints.api.conversations.talking import CALLER, append, begun_endless, frames, start, tree, wait_for
from tests.fakes.assistant import PLENTY, assistant_doors
from tests.fakes.doors import KEY, scripted, serving
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import Answer, FakeModelServer
from tests.features.assistant.rooms import turn_of
from tests.waiting import PATIENCE_S, until

from tramontane.entrypoints.api import Doors, build_app
from tramontane.features.assistant import answering
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import NewConversation
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import Overloaded
from tramontane.foundation.events import ChoiceEnd, TextDelta
from tramontane.foundation.nouns import Ask
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.errors import StorageBusy


async def test_two_tabs_at_once_one_answers_and_one_is_told(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    begun = await start(client)
    room.hold = asyncio.Event()
    path = f"/v1/conversations/{begun['conversation_id']}"
    both = [asyncio.create_task(client.post(path, json={"inputs": f"tab {tab}"})) for tab in range(2)]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    room.hold.set()
    answers = sorted([await one for one in both], key=lambda one: one.status_code)
    assert [one.status_code for one in answers] == [200, 409]
    assert answers[1].json()["code"] == "answer_running"
    assert len((await tree(client, begun["conversation_id"]))["entries"]) == 4


async def test_a_second_sending_of_the_same_turn_is_refused(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    begun = await start(client)
    path, headers = f"/v1/conversations/{begun['conversation_id']}", {"idempotency-key": "a-uuid"}
    both = [asyncio.create_task(client.post(path, json={"inputs": "once"}, headers=headers)) for _ in range(2)]
    statuses = sorted([(await one).status_code for one in both])
    assert statuses == [200, 409]
    again = await client.post(path, json={"inputs": "once"}, headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "already_sent")
    other = await start(client)
    response = await client.post(
        f"/v1/conversations/{other['conversation_id']}", json={"inputs": "once"}, headers=headers
    )
    assert response.status_code == 200
    assert len((await tree(client, begun["conversation_id"]))["entries"]) == 4


async def test_a_conversation_is_not_begun_twice(client: httpx2.AsyncClient) -> None:
    body, headers = {"model": "fake", "inputs": "once"}, {"idempotency-key": "first"}
    both = [asyncio.create_task(client.post("/v1/conversations", json=body, headers=headers)) for _ in range(2)]
    answered, refused = sorted([await one for one in both], key=lambda one: one.status_code)
    assert (answered.status_code, refused.status_code) == (200, 409)
    assert refused.json()["conversation_id"] == answered.json()["conversation_id"]
    assert len((await client.get("/v1/conversations")).json()) == 1


async def test_a_restart_is_not_made_twice_and_a_refused_one_may_be_sent_again(
    client: httpx2.AsyncClient, room: FakeRoom
) -> None:
    begun = await start(client)
    path, headers = f"/v1/conversations/{begun['conversation_id']}/restart", {"idempotency-key": "once"}
    body = {"inputs": "instead", "from_entry_id": begun["output_entry_id"]}
    room.refusal = Overloaded("too many wait; try again", retry_after_s=2)
    assert (await client.post(path, json=body, headers=headers)).status_code == 503
    room.refusal = None
    both = [asyncio.create_task(client.post(path, json=body, headers=headers)) for _ in range(2)]
    answers = sorted([await one for one in both], key=lambda one: one.status_code)
    assert [one.status_code for one in answers] == [200, 409]
    assert answers[1].json()["code"] == "already_sent"
    assert answers[1].json()["conversation_id"] == answers[0].json()["conversation_id"]
    assert len((await client.get("/v1/conversations")).json()) == 2


@pytest.mark.parametrize("key", ["", "x" * 201, "é"])
async def test_keys_of_sendings_are_bounded(client: httpx2.AsyncClient, key: str) -> None:
    headers = {"idempotency-key": key.encode()}
    response = await client.post("/v1/conversations", json={"model": "fake", "inputs": "x"}, headers=headers)
    assert response.status_code == 422


async def test_stop_from_another_tab_ends_the_answer_and_keeps_it(
    client: httpx2.AsyncClient, assistant: Assistant
) -> None:
    run = await begun_endless(assistant)
    conversation_id = run.turn.conversation.conversation_id
    assert (await client.get(f"/v1/conversations/{conversation_id}")).json()["running"] is True
    response = await client.post(f"/v1/conversations/{conversation_id}/stop")
    assert response.json() == {"stopped": True}
    last = (await tree(client, conversation_id))["entries"][-1]
    assert last["status"] == "stopped"
    assert last["content"].startswith(" on on on")
    assert last["usage"]["tramontane"]["finish_reason"] == "stopped"
    assert (await client.post(f"/v1/conversations/{conversation_id}/stop")).json() == {"stopped": False}
    assert (await client.get(f"/v1/conversations/{conversation_id}")).json()["running"] is False
    await append(client, conversation_id, "go on")


async def test_a_stopped_stream_ends_properly(client: httpx2.AsyncClient, assistant: Assistant) -> None:
    streaming = asyncio.create_task(
        client.post("/v1/conversations", json={"model": "fake", "inputs": "endless", "stream": True})
    )

    async def running() -> bool:
        return any(one["running"] for one in (await client.get("/v1/conversations")).json())

    await until(running)
    (listed,) = [one for one in (await client.get("/v1/conversations")).json() if one["running"]]
    await client.post(f"/v1/conversations/{listed['id']}/stop")
    found = frames((await streaming).text)
    assert found[-1]["type"] == "conversation.response.done"
    assert found[-1]["usage"]["tramontane"]["finish_reason"] == "stopped"


async def test_a_listener_that_leaves_ends_the_answer_and_what_came_stays(doors: Doors, room: FakeRoom) -> None:
    app: Any = build_app(doors)
    with serving(app) as url:
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers) as client:
            body = {"model": "fake", "inputs": "endless", "stream": True}
            async with client.stream("POST", "/v1/conversations", json=body) as response:
                said = ""
                async for piece in response.aiter_text():
                    said += piece
                    if said.count("message.output.delta") > 6:
                        break
            conversation_id = frames(said[: said.rindex("\n\n")])[0]["conversation_id"]
            last = await wait_for(client, conversation_id, "interrupted")
            assert last["content"].startswith(" on on")
            assert room.answers[0].ended.is_set()
            assert (await client.get(f"/v1/conversations/{conversation_id}")).json()["running"] is False


async def test_an_answer_that_ends_while_it_is_read_is_still_being_written(
    assistant: Assistant, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row was read before its end was there: taken for an interrupted one, half of it would be shown for good."""
    run = await begun_endless(assistant)
    path = f"/v1/conversations/{run.turn.conversation.conversation_id}"
    read = assistant.read

    async def slowly(*args: Any) -> Any:
        found = await read(*args)
        if not run.over:
            await run.abandon()
        return found

    monkeypatch.setattr(assistant, "read", slowly)
    assert (await client.get(f"{path}/history?tree=true")).json()["entries"][-1]["status"] == "running"
    last = (await client.get(f"{path}/history?tree=true")).json()["entries"][-1]
    assert (last["status"], last["content"]) == ("interrupted", run.draft.text)


async def test_a_listener_that_leaves_the_line_keeps_its_question(
    client: httpx2.AsyncClient, assistant: Assistant, room: FakeRoom
) -> None:
    room.hold = asyncio.Event()
    waiting = asyncio.create_task(
        assistant.start(CALLER, NewConversation(model="fake"), turn_of("hello", request_id="request-2"))
    )
    await until(lambda: bool(room.asks))
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    (listed,) = (await client.get("/v1/conversations")).json()
    last = await wait_for(client, listed["id"], "interrupted")
    assert (last["content"], room.abandoned) == ("", 1)


async def test_what_comes_is_kept_at_most_once_a_second_and_at_the_end(
    assistant: Assistant, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[dict[str, Any]] = []
    keep = assistant.keep

    async def counting(turn: Any, body: dict[str, Any]) -> None:
        kept.append(body)
        await keep(turn, body)

    monkeypatch.setattr(assistant, "keep", counting)
    monkeypatch.setattr(answering, "KEEP_S", 0.2)
    before = time.monotonic()
    run = await begun_endless(assistant)
    conversation_id = run.turn.conversation.conversation_id
    await until(lambda: len(kept) >= 3)
    # A slow machine keeps it more rarely still.
    assert len(kept) <= (time.monotonic() - before) / answering.KEEP_S
    running = (await tree(client, conversation_id))["entries"][-1]
    assert running["status"] == "running" and running["content"].startswith(" on")
    await run.abandon()
    last = (await tree(client, conversation_id))["entries"][-1]
    assert (last["status"], last["content"]) == ("interrupted", run.draft.text)


async def test_an_answer_of_a_server_that_is_gone_reads_as_interrupted(
    database: Database, assistant: Assistant, client: httpx2.AsyncClient, room: FakeRoom
) -> None:
    """What a crash leaves behind: a running entry that nobody writes any more."""
    run = await begun_endless(assistant)
    conversation_id = run.turn.conversation.conversation_id
    await assistant.keep(run.turn, run.draft.body())
    after = assistant_doors(database, FakeRoom(FakeModelServer("fake", script=scripted)))
    transport = httpx2.ASGITransport(app=build_app(after))
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as restarted:
        last = (await tree(restarted, conversation_id))["entries"][-1]
        assert last["status"] == "interrupted" and last["content"].startswith(" on on on")
        (listed,) = (await restarted.get("/v1/conversations")).json()
        assert listed["running"] is False
        await append(restarted, conversation_id, "are you there?")
        assert after.assistant is not None
        await after.assistant.close()


async def test_an_engine_that_dies_leaves_what_came_and_says_so(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    steps = [[TextDelta(0, f" {step}")] for step in range(10)]
    room.servers["fake"].script = lambda ask, most: Answer(batches=steps, die_after=5)
    response = await client.post("/v1/conversations", json={"model": "fake", "inputs": "count", "stream": True})
    found = frames(response.text)
    assert found[-1]["type"] == "conversation.response.error"
    last = (await tree(client, found[0]["conversation_id"]))["entries"][-1]
    assert (last["status"], last["content"], last["error"]["code"]) == ("failed", " 0 1 2 3 4", "engine_failed")


async def test_an_answer_that_cannot_be_saved_is_not_called_done(
    client: httpx2.AsyncClient, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(turn: Any, entries: Any) -> None:
        raise StorageBusy("the database is held by another process", retry_after_s=1)

    monkeypatch.setattr(assistant, "finish", full)
    response = await client.post("/v1/conversations", json={"model": "fake", "inputs": "hello", "stream": True})
    found = frames(response.text)
    assert found[-1]["type"] == "conversation.response.error" and "saved" in found[-1]["message"]
    await wait_for(client, found[0]["conversation_id"], "interrupted")


async def test_closing_keeps_what_came(database: Database, room: FakeRoom, client: httpx2.AsyncClient) -> None:
    assistant = Assistant(database, room, SystemClock(), PLENTY)
    run = await begun_endless(assistant)
    await assistant.close()
    last = (await tree(client, run.turn.conversation.conversation_id))["entries"][-1]
    assert (last["status"], last["content"]) == ("interrupted", run.draft.text)


async def test_a_conversation_deleted_while_it_is_answered_is_gone(
    client: httpx2.AsyncClient, assistant: Assistant
) -> None:
    run = await begun_endless(assistant)
    path = f"/v1/conversations/{run.turn.conversation.conversation_id}"
    assert (await client.delete(path)).status_code == 204
    await run.finished()
    assert (await client.get(path)).status_code == 404
    assert (await client.get("/v1/conversations")).json() == []


async def test_titles_never_delay_the_answer(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    def script(ask: Ask, most: int) -> Answer:
        if ask.id.startswith("title_"):
            return Answer(batches=[[TextDelta(0, "late")], [ChoiceEnd(0, "stop")]], step_s=3600)
        return scripted(ask, most)

    room.servers["fake"] = FakeModelServer("fake", script=script)
    async with asyncio.timeout(PATIENCE_S):
        begun = await start(client)
        await append(client, begun["conversation_id"])


async def test_bodies_beyond_the_limit_are_refused(client: httpx2.AsyncClient) -> None:
    body = json.dumps({"model": "fake", "inputs": "x" * 11_000_000}).encode()
    headers = {"content-type": "application/json"}
    assert (await client.post("/v1/conversations", content=body, headers=headers)).status_code == 413


async def test_an_import_may_be_larger_than_a_question_but_not_endless(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/v1/conversations/import", content=b"[" + b" " * 11_000_000 + b"]")).status_code == 400
    assert (await client.post("/v1/conversations/import", content=b" " * 50_000_001)).status_code == 413
