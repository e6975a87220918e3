"""The engine as a whole over fake servers, on virtual time: what callers get, and what the receipts say."""

import asyncio

import pytest
from tests.engine.world import World, last, read, virtually
from tests.fakes.engine_world import caller
from tests.fakes.model_server import chat_ask

from tramontane.foundation.errors import (
    BadRequest,
    Conflict,
    NotFound,
    Overloaded,
    RateLimited,
)
from tramontane.foundation.events import Finished
from tramontane.foundation.nouns import EmbedAsk, Sampling


@virtually
async def test_the_first_use_loads_the_model_and_the_receipt_says_what_was_spent() -> None:
    world = World()
    asking = caller("quiet", key_id="key")
    running = await world.engine.open(asking, chat_ask("r1", model="alias"), dialect="mistral")
    assert running.model == "fake" and running.prepared.prompt_tokens == 2 and running.request_id == "r1"
    word = last(await read(running))
    assert isinstance(word, Finished) and word.spend.queued_ns == running.queued_ns
    receipt = world.book.of("r1")
    assert (receipt.outcome, receipt.model, receipt.dialect) == ("finished", "fake", "mistral")
    assert (receipt.caller.key_id, receipt.error_code) == ("key", None)
    assert (receipt.spend.prompt_tokens, receipt.spend.generated_tokens) == (2, 16)
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
    world, other = World(), World(secret=b"t" * 32)
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
        assert world.book.of(request_id).outcome == "refused"
    assert world.book.of("a").error_code == "not_found"
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
async def test_receipts_that_cannot_be_kept_stop_new_work() -> None:
    world = World()
    world.book.full = Overloaded("the disk is full", retry_after_s=5, code="storage_busy")
    with pytest.raises(Overloaded):
        await world.answer("r")
    assert not world.starter.servers and world.book.of("r").outcome == "refused"


@virtually
async def test_embeddings_take_the_same_way() -> None:
    world = World()
    embedded = await world.engine.embed(caller(), EmbedAsk(id="e", model="fake", inputs=("one two", (1, 2, 3))))
    assert len(embedded.rows) == 2 and embedded.spend.prompt_tokens == 5
    receipt = world.book.of("e")
    assert (receipt.kind, receipt.outcome, receipt.spend.prompt_tokens) == ("embedding", "finished", 5)
    with pytest.raises(BadRequest):
        await world.engine.embed(caller(), EmbedAsk(id="f", model="fake", inputs=("x",), dimensions=999))
    assert world.book.of("f").outcome == "refused"
    world.server.die()
    assert (await world.engine.embed(caller(), EmbedAsk(id="g", model="fake", inputs=("x",)))).rows
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
    assert world.book.of("r").spend.cache_reads == 2
    server.cancelled_spend = lambda name: None  # type: ignore[method-assign]
    stream = (await world.engine.open(caller(), chat_ask("s"))).events()
    await stream.__anext__()
    await stream.aclose()
    await asyncio.sleep(2)
    assert world.book.of("s").spend.generated_tokens == 1 and world.book.of("s").spend.cache_reads == 0
    world.assert_nothing_left()


@virtually
async def test_what_was_left_open_is_as_the_catalogue_advises_for_counting_too() -> None:
    world = World()
    world.directory.sampling = Sampling(temperature=0.2, top_p=0.9)
    await world.answer("open")
    await world.answer("given", sampling=Sampling(temperature=1.0, top_k=5, seed=7))
    await world.engine.count(caller(), chat_ask("counted"))
    seen = [asked.sampling for asked, *_ in world.server.asked]
    assert seen == [
        Sampling(temperature=0.2, top_p=0.9),
        Sampling(temperature=1.0, top_p=0.9, top_k=5, seed=7),
        Sampling(temperature=0.2, top_p=0.9),
    ]
