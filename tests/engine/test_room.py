"""The engine as a whole over fake servers, on virtual time: what callers get, and what the receipts say."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from tests.fakes.engine_world import Book, Directory, Starter, caller
from tests.fakes.model_server import Answer, FakeModelServer, Script, chat_ask, counting_answer
from tests.fakes.virtual_time import run_virtually, virtual_clock

from tramontane.engine.nouns import Policy
from tramontane.engine.room import Engine
from tramontane.engine.stream import Running
from tramontane.foundation.errors import (
    BadRequest,
    Conflict,
    DeadlineExceeded,
    EngineFailed,
    ModelUnavailable,
    NotFound,
    Overloaded,
    RateLimited,
)
from tramontane.foundation.events import Event, Failed, Finished, TextDelta
from tramontane.foundation.nouns import Ask, EmbedAsk, Limits

STEP_S = 0.02


def slow(ask: Ask, max_tokens: int) -> Answer:
    answer = counting_answer(ask, max_tokens)
    return Answer(batches=answer.batches, prefill_s=STEP_S, step_s=STEP_S)


class World:
    """One engine with everything around it."""

    def __init__(self, script: Script = slow, slots: int = 8, sizes: dict[str, int] | None = None, **policy: Any):
        self.book = Book()
        self.starter = Starter(lambda model: FakeModelServer(model, script=script, slots=slots), sizes)
        self.engine = Engine(
            Directory("fake", "other", "third"),
            self.starter,
            self.book,
            secret=b"s" * 32,
            policy=Policy(**policy),
            clock=virtual_clock(),
            jitter=lambda: 0.0,
        )

    @property
    def server(self) -> FakeModelServer:
        server = self.starter.servers[-1]
        assert isinstance(server, FakeModelServer)
        return server

    async def answer(self, request_id: str, workspace: str = "quiet", **fields: Any) -> list[Event]:
        return await read(await self.engine.open(caller(workspace), chat_ask(request_id, **fields)))

    def assert_nothing_left(self) -> None:
        status = self.engine.status()
        assert status.open_requests == 0 and not self.engine._running and not self.engine._opening
        assert not self.engine._seating._works
        for line in self.engine._seating.lines.values():
            queue = line.queue
            assert (queue.waiting, queue.paused, queue.seats, queue.prefill_tokens) == (0, 0, 0, 0)
            assert not line._calls and not line._arriving
        assert all(replica.held_by == 0 for replica in self.engine._seating.fleet._replicas.values())
        assert sorted(self.book.begun) == sorted(str(receipt["request_id"]) for receipt in self.book.receipts)


async def read(running: Running) -> list[Event]:
    return [event async for batch in running.events() for event in batch]


def virtually(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        run_virtually(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def last(events: Sequence[Event]) -> Event:
    assert sum(isinstance(event, Finished | Failed) for event in events) == 1
    return events[-1]


@virtually
async def test_the_first_use_loads_the_model_and_the_receipt_says_what_was_spent() -> None:
    world = World()
    asking = caller("quiet", key_id="key")
    running = await world.engine.open(asking, chat_ask("r1", model="alias"), dialect="mistral")
    assert running.model == "fake" and running.prepared.prompt_tokens == 2 and running.request_id == "r1"
    word = last(await read(running))
    assert isinstance(word, Finished) and word.spend.queued_ns == running.queued_ns
    receipt = world.book.of("r1")
    assert (receipt["outcome"], receipt["model"], receipt["dialect"]) == ("finished", "fake", "mistral")
    assert (receipt["key_id"], receipt["error_code"]) == ("key", None)
    assert (receipt["prompt_tokens"], receipt["generated_tokens"]) == (2, 16)
    assert world.engine.status().totals["fake"].generated_tokens == 16
    world.assert_nothing_left()


@virtually
async def test_many_at_once_share_one_load_and_each_is_answered() -> None:
    world = World()
    answers = await asyncio.gather(*(world.answer(f"r{number}") for number in range(30)))
    assert len(world.starter.servers) == 1 and world.server.most_running <= 8
    assert all(isinstance(last(events), Finished) and len(events) == 18 for events in answers)
    world.assert_nothing_left()


@virtually
async def test_two_workspaces_never_share_a_namespace_and_secrets_salt_it() -> None:
    world, other = World(), World()
    other.engine._seating._namespaces._secret = b"t" * 32
    for place in (world, other):
        for workspace in ("a", "b"):
            await place.answer(f"r-{workspace}", workspace)
    salts = [asked[1] for place in (world, other) for asked in place.server.asked]
    assert len(set(salts)) == 4 and all(len(salt) == 32 for salt in salts)


@virtually
async def test_what_the_model_cannot_do_is_refused_with_its_own_error_and_a_receipt() -> None:
    world = World()
    for request_id, fields, error in (
        ("a", {"model": "unknown"}, NotFound),
        ("b", {"text": ""}, Exception),
        ("c", {"text": "word " * 5000}, BadRequest),
    ):
        with pytest.raises(error):
            await world.answer(request_id, **fields)
        assert world.book.of(request_id)["outcome"] == "refused"
    assert world.book.of("a")["error_code"] == "not_found"
    world.assert_nothing_left()


@virtually
async def test_the_same_id_twice_is_a_conflict_and_costs_the_first_nothing() -> None:
    world = World()
    running = await world.engine.open(caller(), chat_ask("same"))
    with pytest.raises(Conflict):
        await world.engine.open(caller(), chat_ask("same"))
    assert isinstance(last(await read(running)), Finished)
    world.assert_nothing_left()


@virtually
async def test_rates_refuse_with_the_time_to_wait_and_unspent_tokens_come_back() -> None:
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
    assert world.book.of("c2")["outcome"] == "refused"
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
        assert world.book.of(request_id)["outcome"] == "failed"
        assert world.book.of(request_id)["generated_tokens"] == delivered
    world.assert_nothing_left()


@virtually
async def test_an_answer_nobody_reads_is_ended_and_one_never_opened_twice() -> None:
    world = World()
    running = await world.engine.open(caller(), chat_ask("unread"))
    await asyncio.sleep(61)
    assert world.book.of("unread")["outcome"] == "cancelled" and world.server.discarded == ["unread"]
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
    assert world.book.of("gone")["outcome"] == "cancelled" and world.book.of("gone")["generated_tokens"] == 1
    reading = asyncio.create_task(world.answer("cut"))
    await asyncio.sleep(STEP_S * 4.5)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert world.book.of("cut")["outcome"] == "cancelled" and world.book.of("cut")["generated_tokens"] == 3
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
    assert {receipt["outcome"] for receipt in world.book.receipts} == {"cancelled"}
    world.assert_nothing_left()


@virtually
async def test_cancel_while_the_reader_is_busy_elsewhere_stops_compute_now() -> None:
    world = World()
    stream = (await world.engine.open(caller(), chat_ask("busy"))).events()
    await stream.__anext__()
    assert world.engine.cancel("busy", caller())
    await asyncio.sleep(0.01)
    assert world.book.of("busy")["outcome"] == "cancelled" and world.server.load.running == 0
    rest = [event async for batch in stream for event in batch]
    assert isinstance(last(rest), Failed) and len(rest) == 1
    world.assert_nothing_left()


@pytest.mark.parametrize("words", [(), (Failed("engine_failed", "x"), Failed("engine_failed", "y"))])
def test_there_is_one_last_word_whatever_the_server_says(words: tuple[Event, ...]) -> None:
    async def main() -> None:
        world = World(script=lambda ask, most: Answer(batches=[[TextDelta(0, "x")]], last_words=words))
        word = last(await world.answer("r"))
        assert isinstance(word, Failed) and word.code == "engine_failed"
        assert world.book.of("r")["outcome"] == "failed"
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
        assert world.book.of(request_id)["outcome"] == "failed"
    world.assert_nothing_left()


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
    assert world.book.of("r")["outcome"] == "finished"
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
    with pytest.raises(Exception, match=r".*") as refused:
        word = last(await world.answer("bad", text="poison"))
        assert isinstance(word, Failed)
        await world.answer("bad2", text="poison")
    assert getattr(refused.value, "code", "") == "request_quarantined"
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
async def test_receipts_that_cannot_be_kept_stop_new_work() -> None:
    world = World()
    world.book.full = Overloaded("the disk is full", retry_after_s=5, code="storage_busy")
    with pytest.raises(Overloaded):
        await world.answer("r")
    assert not world.starter.servers and world.book.of("r")["outcome"] == "refused"


@virtually
async def test_embeddings_take_the_same_way() -> None:
    world = World()
    embedded = await world.engine.embed(caller(), EmbedAsk(id="e", model="fake", inputs=("one two", (1, 2, 3))))
    assert len(embedded.rows) == 2 and embedded.spend.prompt_tokens == 5
    receipt = world.book.of("e")
    assert (receipt["kind"], receipt["outcome"], receipt["prompt_tokens"]) == ("embedding", "finished", 5)
    with pytest.raises(BadRequest):
        await world.engine.embed(caller(), EmbedAsk(id="f", model="fake", inputs=("x",), dimensions=999))
    assert world.book.of("f")["outcome"] == "refused"
    world.server.die()
    assert (await world.engine.embed(caller(), EmbedAsk(id="g", model="fake", inputs=("x",)))).rows
    world.assert_nothing_left()


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
    outcomes = {str(receipt["request_id"]): receipt["outcome"] for receipt in world.book.receipts}
    assert outcomes == {"warm": "finished", "a": "finished", "b": "failed", "c": "cancelled", "d": "failed"}
    world.assert_nothing_left()


@virtually
async def test_counting_runs_nothing_and_leaves_nothing() -> None:
    world = World()
    assert await world.engine.count(caller(), chat_ask("c", text="one two three")) == 3
    with pytest.raises(RateLimited):
        for number in range(3):
            await world.engine.count(caller(requests_per_minute=2), chat_ask(f"n{number}"))
    assert "c" in world.server.discarded and not world.book.receipts
    world.assert_nothing_left()


@virtually
async def test_a_receipt_waits_for_the_servers_own_count_of_a_cancelled_answer() -> None:
    world = World()
    running = await world.engine.open(caller(), chat_ask("r"))
    told, server = [], world.server
    known = server.cancelled_spend
    server.cancelled_spend = lambda name: known(name) if told else told.append(name)  # type: ignore[method-assign, func-returns-value]
    stream = running.events()
    await stream.__anext__()
    await stream.aclose()
    assert not world.book.receipts
    await asyncio.sleep(1)
    assert world.book.of("r")["cache_reads"] == 2
    server.cancelled_spend = lambda name: None  # type: ignore[method-assign]
    stream = (await world.engine.open(caller(), chat_ask("s"))).events()
    await stream.__anext__()
    await stream.aclose()
    await asyncio.sleep(2)
    assert world.book.of("s")["generated_tokens"] == 1 and world.book.of("s")["cache_reads"] == 0
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
            assert world.book.of("r")["outcome"] == "failed"
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


@virtually
async def test_draining_twice_is_draining_once() -> None:
    world = World()
    await world.answer("r")
    await world.engine.drain(1)
    await world.engine.drain(0)
    assert not world.server.alive
