"""Who is refused or given up by the engine, when, and with which word: rates, full lines, waits and deadlines."""

import asyncio
from typing import Any

import pytest
from tests.engine.world import STEP_S, World, last, read, virtually
from tests.fakes.engine_world import caller
from tests.fakes.model_server import Answer, chat_ask

from tramontane.foundation.errors import (
    DeadlineExceeded,
    ModelUnavailable,
    Overloaded,
    RateLimited,
)
from tramontane.foundation.events import Failed, Finished, TextDelta
from tramontane.foundation.nouns import Ask, Limits


@virtually
async def test_rates_refuse_with_the_time_to_wait() -> None:
    world = World()
    limited = caller(requests_per_minute=2, tokens_per_minute=100)
    for request_id in ("a", "b"):
        await read(await world.engine.open(limited, chat_ask(request_id, limits=Limits(max_tokens=80))))
        shown = world.engine.rates(limited).tokens
        assert shown is not None
        if request_id == "a":
            # 80 reserved and spent; wait until they are back.
            await asyncio.sleep(60)
    await asyncio.sleep(1)
    refused = None
    for number in range(3):
        try:
            await world.engine.open(limited, chat_ask(f"c{number}", limits=Limits(max_tokens=80)))
        except RateLimited as error:
            refused = error
    assert refused is not None and 1 <= refused.retry_after_s <= 60
    assert world.book.of("c2").outcome == "refused"
    world.assert_nothing_left()


@virtually
async def test_tokens_set_aside_and_not_spent_come_back() -> None:
    world = World(script=lambda ask, most: Answer(batches=[[TextDelta(0, "x")]] * 5))
    limited = caller(tokens_per_minute=100)
    for turn in range(3):
        await read(await world.engine.open(limited, chat_ask(f"r{turn}", limits=Limits(max_tokens=70))))
    shown = world.engine.rates(limited).tokens
    assert shown is not None and shown.remaining == 100 - 3 * (2 + 5)
    world.assert_nothing_left()


@virtually
async def test_one_workspaces_full_line_is_its_own_doing_and_leaves_room_for_others() -> None:
    world = World(slots=2, max_waiting_per_workspace=32)
    await world.answer("warm")
    flood = [asyncio.create_task(world.answer(f"f{number}", "flooder")) for number in range(60)]
    await asyncio.sleep(STEP_S)
    events = await world.answer("q", "quiet")
    assert isinstance(last(events), Finished)
    results = await asyncio.gather(*flood, return_exceptions=True)
    refused = [result for result in results if isinstance(result, RateLimited)]
    assert len(refused) == 60 - 33 and all(1 <= error.retry_after_s <= 60 for error in refused)
    world.assert_nothing_left()


@virtually
async def test_who_waits_too_long_is_told_and_a_deadline_is_told_apart() -> None:
    world = World(slots=1, max_wait_s=2, script=lambda ask, most: Answer(batches=[[TextDelta(0, "x")]] * 500, step_s=1))
    running = await world.engine.open(caller("a"), chat_ask("long"))
    reading = asyncio.create_task(read(running))
    with pytest.raises(DeadlineExceeded):
        await world.answer("dead", "b", deadline_ms=500)
    with pytest.raises(Overloaded) as refused:
        await world.answer("late", "c")
    assert 1 <= refused.value.retry_after_s <= 30
    assert world.server.discarded == ["dead", "late"]
    await running.close()
    assert isinstance(last(await reading), Failed)
    world.assert_nothing_left()


@virtually
async def test_deadlines_of_a_stream() -> None:
    def script(ask: Ask, most: int) -> Answer:
        if ask.id == "never":
            return Answer(batches=[[TextDelta(0, "x")]], prefill_s=1000)
        return Answer(batches=[[TextDelta(0, "x")]] * 1000, step_s=5, hang_after=3 if ask.id == "stalls" else None)

    world = World(script=script)
    for request_id, deadline_ms, delivered in (("never", None, 0), ("stalls", None, 3), ("long", 22_000, 4)):
        events = await world.answer(request_id, deadline_ms=deadline_ms)
        word = last(events)
        assert isinstance(word, Failed) and word.code == "deadline_exceeded" and len(events) == delivered + 1
        assert world.book.of(request_id).outcome == "failed"
        assert world.book.of(request_id).spend.generated_tokens == delivered
    world.assert_nothing_left()


@virtually
async def test_counting_a_model_that_takes_long_to_load_says_so() -> None:
    world = World(max_wait_s=3)
    world.starter.before_start = lambda model: asyncio.sleep(10)
    with pytest.raises(ModelUnavailable, match="still loading"):
        await world.engine.count(caller(), chat_ask("c"))
    await asyncio.sleep(10)
    assert await world.engine.count(caller(), chat_ask("c")) == 2
    world.assert_nothing_left()


@virtually
async def test_a_hung_preparation_is_given_up() -> None:
    world = World(first_token_s=5)
    await world.answer("warm")

    async def hangs(ask: Ask, **rest: object) -> Any:
        await asyncio.sleep(1000)

    world.server.prepare = hangs  # type: ignore[method-assign, assignment]
    with pytest.raises(Overloaded):
        await world.answer("r")
    with pytest.raises(DeadlineExceeded):
        await world.answer("s", deadline_ms=100)
    world.assert_nothing_left()
