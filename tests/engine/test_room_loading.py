"""How the engine loads, unloads and drains: who waits, who is told, and who is never unloaded."""

import asyncio

import pytest
from tests.engine.world import World, last, read, virtually
from tests.fakes.engine_world import caller
from tests.fakes.model_server import Answer, chat_ask

from tramontane.foundation.errors import (
    DeadlineExceeded,
    EngineFailed,
    ModelUnavailable,
    Overloaded,
)
from tramontane.foundation.events import Failed, Finished, TextDelta


@virtually
async def test_a_model_that_does_not_load_tells_everyone_why_and_is_tried_again() -> None:
    world = World()
    world.starter.failures = [ModelUnavailable("weights are truncated; pull the model again", retry_after_s=30)]
    results = await asyncio.gather(*(world.answer(f"r{number}") for number in range(3)), return_exceptions=True)
    assert all(isinstance(result, ModelUnavailable) and "truncated" in result.message for result in results)
    world.starter.failures = [ValueError("surprise")]
    with pytest.raises(EngineFailed, match="surprise"):
        await world.answer("surprised")
    assert isinstance(last(await world.answer("now")), Finished)
    world.assert_nothing_left()


@virtually
async def test_loading_longer_than_the_wait_is_503_while_the_load_goes_on_with_progress() -> None:
    world = World(max_wait_s=3)
    world.starter.before_start = lambda model: asyncio.sleep(10)
    with pytest.raises(ModelUnavailable, match="still loading"):
        await world.answer("early")
    with pytest.raises(DeadlineExceeded):
        await world.answer("hurried", deadline_ms=100)
    status = world.engine.status().replicas["fake"]
    assert (status.state, status.stage, status.done, status.total) == ("loading", "weights", 1, 2)
    await asyncio.sleep(10)
    assert isinstance(last(await world.answer("later")), Finished) and len(world.starter.servers) == 1
    world.assert_nothing_left()


@virtually
async def test_a_load_that_never_ends_is_given_up() -> None:
    world = World(load_timeout_s=5)
    world.starter.before_start = lambda model: asyncio.sleep(1000)
    with pytest.raises(ModelUnavailable, match="did not load within 5 s"):
        await world.answer("r")
    world.assert_nothing_left()


@virtually
async def test_memory_pressure_unloads_the_idle_and_never_one_with_work() -> None:
    world = World(sizes={"fake": 60, "other": 60, "third": 40}, memory_limit_bytes=100)
    await world.answer("a", model="fake")
    await world.answer("b", model="third")
    busy = await world.engine.open(caller(), chat_ask("busy", model="third"))
    await world.answer("c", model="other")
    states = {model: replica.state for model, replica in world.engine.status().replicas.items()}
    assert states == {"fake": "absent", "third": "ready", "other": "ready"}
    other = await world.engine.open(caller(), chat_ask("also", model="other"))
    with pytest.raises(ModelUnavailable, match="needs 60 bytes"):
        await world.answer("d", model="fake")
    await read(busy)
    await read(other)
    assert isinstance(last(await world.answer("e", model="fake")), Finished)
    world.assert_nothing_left()


@virtually
async def test_idle_models_are_unloaded_and_loaded_again_on_use() -> None:
    world = World(idle_unload_s=10)
    await world.engine.start()
    await world.answer("a")
    await asyncio.sleep(9)
    await world.answer("b")
    await asyncio.sleep(9)
    assert world.engine.status().replicas["fake"].state == "ready"
    await asyncio.sleep(3)
    assert world.engine.status().replicas["fake"].state == "absent" and not world.server.alive
    assert isinstance(last(await world.answer("c")), Finished) and len(world.starter.servers) == 2
    await world.engine.drain(1)
    world.assert_nothing_left()


@virtually
async def test_unload_waits_for_its_requests_and_new_ones_load_it_again() -> None:
    world = World()
    await world.engine.unload("fake")
    await world.engine.load("fake")
    running = await world.engine.open(caller(), chat_ask("old"))
    unloading = asyncio.create_task(world.engine.unload("fake"))
    await asyncio.sleep(0.1)
    assert world.engine.status().replicas["fake"].state == "draining"
    new = asyncio.create_task(world.answer("new"))
    await asyncio.sleep(0.1)
    assert isinstance(last(await read(running)), Finished)
    await unloading
    assert isinstance(last(await new), Finished) and len(world.starter.servers) == 2
    world.assert_nothing_left()


@virtually
async def test_a_model_loaded_and_never_used_unloads_at_once() -> None:
    world = World()
    await world.engine.load("fake")
    await world.engine.unload("fake")
    assert world.engine.status().replicas["fake"].state == "absent" and not world.server.alive


@virtually
async def test_drain_lets_the_running_end_refuses_the_new_and_stops_the_rest() -> None:
    world = World(slots=1, script=lambda ask, most: Answer(batches=[[TextDelta(0, "x")]] * 100, step_s=0.1))
    short = asyncio.create_task(world.answer("running"))
    await asyncio.sleep(1)
    waiting = asyncio.create_task(world.answer("waiting"))
    await asyncio.sleep(1)
    draining = asyncio.create_task(world.engine.drain(2))
    await asyncio.sleep(0.1)
    with pytest.raises(Overloaded) as refused:
        await world.answer("new")
    assert refused.value.code == "draining" and world.engine.status().draining
    with pytest.raises(Overloaded):
        await world.engine.count(caller(), chat_ask("c"))
    await draining
    word = last(await short)
    assert isinstance(word, Failed) and word.code == "draining"
    with pytest.raises(Overloaded):
        await waiting
    assert not world.server.alive
    world.assert_nothing_left()


@virtually
async def test_drain_during_a_load_tells_who_waits_for_it() -> None:
    world = World()
    world.starter.before_start = lambda model: asyncio.sleep(100)
    waiting = asyncio.create_task(world.answer("r"))
    preloading = asyncio.create_task(world.engine.load("other"))
    await asyncio.sleep(1)
    await world.engine.drain(1)
    for task in (waiting, preloading):
        with pytest.raises(Overloaded) as refused:
            await task
        assert refused.value.code == "draining"
    world.assert_nothing_left()


@virtually
async def test_draining_twice_is_draining_once() -> None:
    world = World()
    await world.answer("r")
    await world.engine.drain(1)
    await world.engine.drain(0)
    assert not world.server.alive
