"""Every answer of the engine ends once: read to its end, cancelled, left by its reader, or broken by its server."""

import asyncio
from typing import Any

import pytest
from tests.engine.world import STEP_S, World, last, read, virtually
from tests.fakes.engine_world import caller
from tests.fakes.model_server import Answer, chat_ask
from tests.fakes.virtual_time import run_virtually

from tramontane.foundation.errors import (
    Conflict,
    EngineFailed,
)
from tramontane.foundation.events import Event, Failed, TextDelta


@virtually
async def test_an_answer_nobody_reads_is_ended_and_one_never_opened_twice() -> None:
    world = World()
    running = await world.engine.open(caller(), chat_ask("unread"))
    await asyncio.sleep(61)
    assert world.book.of("unread").outcome == "cancelled" and world.server.discarded == ["unread"]
    assert isinstance(last(await read(running)), Failed)
    again = await world.engine.open(caller(), chat_ask("read"))
    await read(again)
    assert isinstance(last(await read(again)), Failed)
    world.assert_nothing_left()


@virtually
async def test_a_client_that_leaves_frees_its_seat_and_pays_for_what_was_made() -> None:
    world = World()
    stream = (await world.engine.open(caller(), chat_ask("gone"))).events()
    async for _ in stream:
        break
    await stream.aclose()
    assert world.book.of("gone").outcome == "cancelled" and world.book.of("gone").spend.generated_tokens == 1
    reading = asyncio.create_task(world.answer("cut"))
    await asyncio.sleep(STEP_S * 4.5)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert world.book.of("cut").outcome == "cancelled" and world.book.of("cut").spend.generated_tokens == 3
    world.assert_nothing_left()


@virtually
async def test_cancel_by_id_reaches_ones_own_workspace_in_every_state() -> None:
    world = World(slots=1)
    world.starter.before_start = lambda model: asyncio.sleep(5)
    stranger, owner = caller("stranger"), caller("quiet")
    loading = asyncio.create_task(world.answer("loading"))
    await asyncio.sleep(1)
    assert not world.engine.cancel("loading", stranger)
    assert world.engine.cancel("loading", owner) and not world.engine.cancel("loading", owner)
    with pytest.raises(Conflict) as cancelled:
        await loading
    assert cancelled.value.code == "cancelled"
    running = asyncio.create_task(world.answer("running"))
    await asyncio.sleep(4.1)
    waiting = asyncio.create_task(world.answer("waiting"))
    await asyncio.sleep(STEP_S)
    assert world.engine.cancel("waiting", owner) and world.engine.cancel("running", owner)
    with pytest.raises(Conflict):
        await waiting
    word = last(await running)
    assert isinstance(word, Failed) and word.code == "cancelled"
    assert not world.engine.cancel("running", owner)
    assert {receipt.outcome for receipt in world.book.receipts} == {"cancelled"}
    world.assert_nothing_left()


@virtually
async def test_cancel_while_the_reader_is_busy_elsewhere_stops_compute_now() -> None:
    world = World()
    stream = (await world.engine.open(caller(), chat_ask("busy"))).events()
    await stream.__anext__()
    assert world.engine.cancel("busy", caller())
    await asyncio.sleep(0.01)
    assert world.book.of("busy").outcome == "cancelled" and world.server.load.running == 0
    rest = [event async for batch in stream for event in batch]
    assert isinstance(last(rest), Failed) and len(rest) == 1
    world.assert_nothing_left()


@pytest.mark.parametrize("words", [(), (Failed("engine_failed", "x"), Failed("engine_failed", "y"))])
def test_there_is_one_last_word_whatever_the_server_says(words: tuple[Event, ...]) -> None:
    async def main() -> None:
        world = World(script=lambda ask, most: Answer(batches=[[TextDelta(0, "x")]], last_words=words))
        word = last(await world.answer("r"))
        assert isinstance(word, Failed) and word.code == "engine_failed"
        assert world.book.of("r").outcome == "failed"
        world.assert_nothing_left()

    run_virtually(main())


@virtually
async def test_words_after_the_last_in_one_batch_and_empty_batches_are_dropped() -> None:
    done = Failed("engine_failed", "x")
    world = World(script=lambda ask, most: Answer(batches=[[TextDelta(0, "x"), done, TextDelta(0, "y")]]))
    assert await world.answer("r") == [TextDelta(0, "x"), done]
    world.assert_nothing_left()


@virtually
async def test_a_server_that_raises_costs_nobody_the_last_word() -> None:
    world = World()
    await world.answer("warm")
    for request_id, error in (("ours", EngineFailed("broken")), ("theirs", ZeroDivisionError())):

        async def broken(prepared: object, error: Exception = error) -> Any:
            raise error
            yield

        world.server.generate = broken  # type: ignore[method-assign]
        word = last(await world.answer(request_id))
        assert isinstance(word, Failed) and word.code == "engine_failed"
        assert world.book.of(request_id).outcome == "failed"
    world.assert_nothing_left()
