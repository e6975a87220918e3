"""What callers see of a server's death: mended inside where nothing was delivered, told once where it was."""

import asyncio
from typing import Any

import pytest
from tests.engine.world import STEP_S, World, last, slow, virtually
from tests.fakes.engine_world import caller
from tests.fakes.model_server import Answer, FakeModelServer
from tests.fakes.virtual_time import run_virtually

from tramontane.foundation.errors import (
    BadRequest,
    DeadlineExceeded,
    EngineFailed,
    ModelUnavailable,
)
from tramontane.foundation.events import Failed, Finished
from tramontane.foundation.nouns import Ask, EmbedAsk


@virtually
async def test_a_death_before_the_first_token_is_mended_inside() -> None:
    deaths = iter([0])

    def script(ask: Ask, most: int) -> Answer:
        answer = slow(ask, most)
        answer.die_after = next(deaths, None)
        return answer

    world = World(script=script)
    events = await world.answer("r")
    assert isinstance(last(events), Finished) and len(events) == 18 and len(world.starter.servers) == 2
    assert world.book.of("r").outcome == "finished"
    world.assert_nothing_left()


@virtually
async def test_a_second_death_is_told_and_not_mended_again() -> None:
    world = World(script=lambda ask, most: Answer(batches=slow(ask, most).batches, die_after=0))
    word = last(await world.answer("r"))
    assert isinstance(word, Failed) and word.code == "engine_failed"
    assert [ask.id for server in world.starter.servers for ask, *_ in server.asked] == ["r", "r"]  # type: ignore[attr-defined]
    world.assert_nothing_left()


@virtually
async def test_a_death_in_mid_answer_fails_its_own_requests_and_the_next_is_served() -> None:
    world = World()
    await world.answer("warm")
    first = world.server
    readings = [asyncio.create_task(world.answer(f"r{number}", text=f"prompt {number}")) for number in range(8)]
    waiting = [asyncio.create_task(world.answer(f"w{number}", "b", text=f"late {number}")) for number in range(4)]
    await asyncio.sleep(STEP_S * 5.5)
    first.die()
    for events in await asyncio.gather(*readings):
        word = last(events)
        assert isinstance(word, Failed | Finished)
        assert isinstance(word, Finished) or word.code == "engine_failed"
    # The reserve had let one of them in.
    assert sum(isinstance(last(events), Finished) for events in await asyncio.gather(*waiting)) == 3
    assert isinstance(last(await world.answer("next")), Finished) and world.server is not first
    world.assert_nothing_left()


@virtually
async def test_a_request_that_kills_twice_is_refused_and_harms_nobody_else() -> None:
    def script(ask: Ask, most: int) -> Answer:
        answer = slow(ask, most)
        poison = "poison" in str(ask.messages)
        answer.die_after = 0 if poison else None
        return answer

    world = World(script=script)
    readings = [asyncio.create_task(world.answer(f"r{number}", text=f"good {number}")) for number in range(3)]
    word = last(await world.answer("bad", text="poison"))
    assert isinstance(word, Failed) and word.code == "engine_failed", "it was tried once more, and not twice"
    with pytest.raises(BadRequest) as refused:
        await world.answer("bad2", text="poison")
    assert refused.value.code == "request_quarantined"
    await asyncio.gather(*readings)
    assert len(world.starter.servers) == 3
    for number in range(3):
        assert isinstance(last(await world.answer(f"again{number}", text=f"good {number}")), Finished)
    world.assert_nothing_left()


@virtually
async def test_a_crash_loop_is_quarantined_and_other_models_go_on() -> None:
    def script(ask: Ask, most: int) -> Answer:
        answer = slow(ask, most)
        answer.die_after = 1 if ask.model == "fake" else None
        return answer

    world = World(script=script)
    refused: ModelUnavailable | None = None
    for number in range(6):
        try:
            await world.answer(f"r{number}", text=f"text {number}")
        except ModelUnavailable as error:
            refused = error
    assert refused is not None and 1 <= refused.retry_after_s <= 60 and "5 times" in refused.message
    status = world.engine.status().replicas["fake"]
    assert status.state == "quarantined" and status.deaths == 5
    assert isinstance(last(await world.answer("elsewhere", model="other")), Finished)
    await asyncio.sleep(2)
    assert isinstance(last(await world.answer("tried again", text="again")), Failed)
    world.assert_nothing_left()


@virtually
async def test_requests_sent_again_after_a_death_in_mid_answer_are_not_taken_for_poison() -> None:
    world = World()
    for attempt in range(3):
        tasks = [asyncio.create_task(world.answer(f"r{attempt}-{number}")) for number in range(5)]
        await asyncio.sleep(STEP_S * 4.5)
        world.server.die()
        assert all(isinstance(last(events), Failed) for events in await asyncio.gather(*tasks))
    assert isinstance(last(await world.answer("again")), Finished)
    world.assert_nothing_left()


@virtually
async def test_a_silent_death_is_noticed_and_replaced_before_anyone_asks() -> None:
    world = World()
    await world.engine.start()
    await world.answer("a")
    world.server.die()
    await asyncio.sleep(2)
    assert len(world.starter.servers) == 2 and world.server.alive
    await world.engine.drain(1)


@virtually
async def test_an_embedding_whose_server_dies_or_hangs() -> None:
    world = World(first_token_s=5)
    await world.answer("warm")
    first = world.server

    async def dies(ask: EmbedAsk) -> Any:
        await asyncio.sleep(0.1)
        first.die()
        raise EngineFailed("gone")

    first.embed = dies  # type: ignore[method-assign]
    assert (await world.engine.embed(caller(), EmbedAsk(id="a", model="fake", inputs=("x",)))).rows

    async def hangs(ask: EmbedAsk) -> Any:
        await asyncio.sleep(1000)

    world.server.embed = hangs  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceeded):
        await world.engine.embed(caller(), EmbedAsk(id="b", model="fake", inputs=("x",)))
    embedding = asyncio.create_task(world.engine.embed(caller(), EmbedAsk(id="c", model="fake", inputs=("x",))))
    await asyncio.sleep(1)
    embedding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await embedding

    async def breaks(ask: EmbedAsk) -> Any:
        raise ZeroDivisionError

    world.server.embed = breaks  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        await world.engine.embed(caller(), EmbedAsk(id="d", model="fake", inputs=("x",)))
    outcomes = {receipt.request_id: receipt.outcome for receipt in world.book.receipts}
    assert outcomes == {"warm": "finished", "a": "finished", "b": "failed", "c": "cancelled", "d": "failed"}
    world.assert_nothing_left()


@virtually
async def test_who_waits_is_told_when_the_replacement_cannot_be_loaded() -> None:
    world = World(slots=1)
    await world.answer("warm")
    running = asyncio.create_task(world.answer("running"))
    await asyncio.sleep(STEP_S * 3)
    waiting = [asyncio.create_task(world.answer(f"w{number}", "b")) for number in range(3)]
    await asyncio.sleep(STEP_S)
    world.starter.failures = [ModelUnavailable("the weights are gone; pull the model again", retry_after_s=30)]
    world.server.die()
    assert isinstance(last(await running), Failed)
    for task in waiting:
        with pytest.raises(ModelUnavailable, match="weights are gone"):
            await task
    world.assert_nothing_left()


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_server_that_dies_over_reading_an_ask_is_replaced_once(deaths: int) -> None:
    async def main() -> None:
        world = World()
        build = world.starter.build

        def deadly(model: str) -> FakeModelServer:
            server = build(model)
            assert isinstance(server, FakeModelServer)
            if len(world.starter.servers) < deaths:

                async def prepare(ask: Ask, **rest: object) -> Any:
                    server.die()
                    raise EngineFailed("gone")

                server.prepare = prepare  # type: ignore[method-assign, assignment]
            return server

        world.starter.build = deadly
        if deaths == 1:
            assert isinstance(last(await world.answer("r")), Finished)
        else:
            with pytest.raises(EngineFailed):
                await world.answer("r")
            assert world.book.of("r").outcome == "failed"
        assert len(world.starter.servers) == 2
        await asyncio.sleep(1)
        world.assert_nothing_left()

    run_virtually(main())


@virtually
async def test_a_death_while_unloading_brings_the_model_back_for_those_in_line() -> None:
    world = World(slots=1)
    await world.answer("warm")
    running = asyncio.create_task(world.answer("running"))
    waiting = asyncio.create_task(world.answer("waiting", "b"))
    await asyncio.sleep(STEP_S * 4)
    unloading = asyncio.create_task(world.engine.unload("fake"))
    await asyncio.sleep(STEP_S)
    world.server.die()
    assert isinstance(last(await running), Failed)
    await unloading
    assert isinstance(last(await waiting), Finished) and len(world.starter.servers) == 2
    world.assert_nothing_left()
