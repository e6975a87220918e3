"""Moments that fall together: a stop before the first step, a late keeping, a stop or a deletion while waiting in line."""

import asyncio

import httpx2
from tests.entrypoints.api.conversations.talking import CALLER, begun_endless, start, tree
from tests.fakes.engine_room import FakeRoom
from tests.features.assistant.rooms import turn_of
from tests.waiting import PATIENCE_S, until

from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import NewConversation


async def test_an_answer_stopped_before_its_first_step_still_ends(
    assistant: Assistant, client: httpx2.AsyncClient, room: FakeRoom
) -> None:
    run = await assistant.start(CALLER, NewConversation(model="fake"), turn_of("endless", request_id="request-1"))
    assert run.stop()
    async with asyncio.timeout(PATIENCE_S):
        await run.finished()
        told = [batch async for batch in run.events()]
    assert told[-1] and run.over and room.answers[0].ended.is_set()
    last = (await tree(client, run.turn.conversation.conversation_id))["entries"][-1]
    assert last["status"] == "stopped"


async def test_a_keeping_that_comes_late_does_not_undo_the_end(
    assistant: Assistant, client: httpx2.AsyncClient
) -> None:
    """With several writers a keeping begun before the end may reach the database after it."""
    run = await begun_endless(assistant)
    await run.abandon()
    await assistant.keep(run.turn, {"content": " on"})
    last = (await tree(client, run.turn.conversation.conversation_id))["entries"][-1]
    assert (last["status"], last["content"]) == ("interrupted", run.draft.text)


async def test_a_turn_that_waits_in_line_can_be_stopped(
    assistant: Assistant, client: httpx2.AsyncClient, room: FakeRoom
) -> None:
    begun = await start(client)
    room.hold = asyncio.Event()
    conversation_id = begun["conversation_id"]
    asked = len(room.asks)
    waiting = asyncio.create_task(assistant.go_on(CALLER, conversation_id, turn_of("endless", request_id="request-2")))
    await until(lambda: len(room.asks) > asked)
    response = await client.post(f"/v1/conversations/{conversation_id}/stop")
    assert response.json() == {"stopped": True}
    room.hold.set()
    async with asyncio.timeout(PATIENCE_S):
        await (await waiting).finished()
    last = (await tree(client, conversation_id))["entries"][-1]
    assert last["status"] == "stopped"
    assert next(one for one in room.answers if one.request_id == "request-2").ended.is_set()


async def test_a_conversation_deleted_while_it_waits_in_line_costs_nothing_more(
    assistant: Assistant, client: httpx2.AsyncClient, room: FakeRoom
) -> None:
    begun = await start(client)
    room.hold = asyncio.Event()
    path = f"/v1/conversations/{begun['conversation_id']}"
    asked = len(room.asks)
    waiting = asyncio.create_task(
        assistant.go_on(CALLER, begun["conversation_id"], turn_of("endless", request_id="request-2"))
    )
    await until(lambda: len(room.asks) > asked)
    assert (await client.delete(path)).status_code == 204
    room.hold.set()
    async with asyncio.timeout(PATIENCE_S):
        await (await waiting).finished()
    assert next(one for one in room.answers if one.request_id == "request-2").ended.is_set()
    assert (await client.get(path)).status_code == 404
