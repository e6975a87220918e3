"""What every ModelServer keeps, whatever stands behind it. One suite, run against each implementation.

A test class inherits `ModelServerContract` and gives a fixture `server`; class attributes say what that kind can do.
"""

import asyncio
import math
from collections.abc import Sequence
from contextlib import aclosing

import numpy as np
import pytest
from tests.waiting import PATIENCE_S

from tramontane.engine.ports import ModelServer, Prepared
from tramontane.foundation.errors import BadRequest, Conflict, ContextExceeded, InvalidFields, TramontaneError
from tramontane.foundation.events import ChoiceEnd, Event, Failed, Finished, TextDelta
from tramontane.foundation.nouns import Ask, EmbedAsk, Limits, Message, Sampling, Spend, TextChunk

# What is cancelled is promised to be free within a second; ten, because the machine may have others to serve.
FREE_S = 10.0


def chat(request_id: str, text: str = "Count the stars", max_tokens: int | None = 8, **fields: object) -> Ask:
    """A greedy chat ask that runs to its limit where the server allows it."""
    message = Message(role="user", content=(TextChunk(text),))
    values: dict[str, object] = {
        "messages": (message,),
        "limits": Limits(max_tokens=max_tokens, ignore_eos=True),
        "sampling": Sampling(temperature=0.0, seed=1),
        **fields,
    }
    return Ask(id=request_id, model="any", **values)  # type: ignore[arg-type]


async def prepare(server: ModelServer, ask: Ask, namespace: bytes = b"space") -> Prepared:
    return await server.prepare(ask, namespace=namespace, share="workspace")


async def answer(server: ModelServer, ask: Ask) -> list[Event]:
    """Prepare, generate and collect everything; fails when a batch is empty or no end comes."""
    prepared = await prepare(server, ask)
    events: list[Event] = []
    async with asyncio.timeout(PATIENCE_S), aclosing(server.generate(prepared)) as batches:
        async for batch in batches:
            assert batch
            events += batch
    return events


def text_of(events: Sequence[Event], index: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta) and event.index == index)


def assert_one_last_word(events: Sequence[Event]) -> None:
    last_words = [event for event in events if isinstance(event, Finished | Failed)]
    assert len(last_words) == 1
    assert events[-1] is last_words[0]


def spend_of(events: Sequence[Event]) -> Spend:
    last = events[-1]
    assert isinstance(last, Finished), last
    return last.spend


class ModelServerContract:
    """The promises. Subclasses set what their server can do and give the fixture `server`."""

    can_pause = True
    can_embed = False
    counts_exactly = True
    reports_cancelled_spend = True
    knows_context = True
    supports_choices = True
    at_once = 24
    # Of an answer that must not be over before somebody has done something about it.
    most_tokens = 3000

    async def test_prepare_counts_the_prompt_and_clips_the_answer(self, server: ModelServer) -> None:
        prepared = await prepare(server, chat("p1", max_tokens=5))
        assert prepared.prompt_tokens > 0
        assert prepared.max_tokens == 5
        assert prepared.exact is self.counts_exactly
        server.discard(prepared)

    async def test_an_answer_has_text_an_end_and_exactly_one_last_word(self, server: ModelServer) -> None:
        events = await answer(server, chat("a1", max_tokens=6))
        assert_one_last_word(events)
        assert text_of(events)
        ends = [event for event in events if isinstance(event, ChoiceEnd)]
        assert [(end.index, end.reason) for end in ends] == [(0, "length")]
        assert events.index(ends[0]) == len(events) - 2
        spend = spend_of(events)
        assert spend.generated_tokens == 6
        assert spend.prompt_tokens > 0
        assert 0 <= spend.cached_tokens < spend.prompt_tokens

    async def test_greedy_answers_repeat(self, server: ModelServer) -> None:
        first = text_of(await answer(server, chat("g1")))
        second = text_of(await answer(server, chat("g2")))
        assert first == second

    async def test_choices_end_each_for_itself(self, server: ModelServer) -> None:
        if not self.supports_choices:
            pytest.skip("this server answers one choice at a time")
        events = await answer(server, chat("n1", max_tokens=4, n=2))
        assert_one_last_word(events)
        assert {event.index for event in events if isinstance(event, ChoiceEnd)} == {0, 1}
        assert text_of(events, 0)
        assert text_of(events, 1)

    async def test_many_at_once_are_each_answered_with_their_own(self, server: ModelServer) -> None:
        alone = {text: text_of(await answer(server, chat(f"one-{text}", text=text))) for text in ("moon", "sun", "sea")}
        asks = [chat(f"many-{turn}", text=("moon", "sun", "sea")[turn % 3]) for turn in range(self.at_once)]
        answers = await asyncio.gather(*(answer(server, ask) for ask in asks))
        for turn, events in enumerate(answers):
            assert_one_last_word(events)
            assert text_of(events) == alone[("moon", "sun", "sea")[turn % 3]]

    async def test_closing_an_answer_cancels_and_tells_what_it_cost(self, server: ModelServer) -> None:
        prepared = await prepare(server, chat("c1", max_tokens=self.most_tokens))
        batches = server.generate(prepared)
        async with asyncio.timeout(PATIENCE_S):
            await anext(batches)
            await batches.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(batches)
        spend = server.cancelled_spend("c1")
        if self.reports_cancelled_spend:
            assert spend is not None
            assert 0 < spend.generated_tokens < self.most_tokens
        assert server.cancelled_spend("c1") is None
        await self.assert_idle(server)

    async def test_closing_before_the_first_batch_frees_the_request(self, server: ModelServer) -> None:
        batches = server.generate(await prepare(server, chat("c2", max_tokens=50)))
        await batches.aclose()
        await self.assert_idle(server)
        assert_one_last_word(await answer(server, chat("c2", max_tokens=2)))

    async def test_a_cancelled_reader_frees_the_request(self, server: ModelServer) -> None:
        started = asyncio.Event()

        async def read() -> None:
            prepared = await prepare(server, chat("c3", max_tokens=self.most_tokens))
            async with aclosing(server.generate(prepared)) as batches:
                async for _ in batches:
                    started.set()

        reader = asyncio.create_task(read())
        async with asyncio.timeout(PATIENCE_S):
            await started.wait()
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
        await self.assert_idle(server)

    async def test_a_discarded_ask_cannot_be_generated(self, server: ModelServer) -> None:
        prepared = await prepare(server, chat("d1"))
        server.discard(prepared)
        server.discard(prepared)
        batches = [batch async for batch in server.generate(prepared)]
        assert len(batches) == 1
        assert isinstance(batches[0][-1], Failed)

    async def test_generating_twice_answers_once(self, server: ModelServer) -> None:
        prepared = await prepare(server, chat("d2", max_tokens=4))
        first = [event async for batch in server.generate(prepared) for event in batch]
        second = [event async for batch in server.generate(prepared) for event in batch]
        assert isinstance(first[-1], Finished)
        assert [type(event) for event in second] == [Failed]

    async def test_an_id_in_use_is_a_conflict(self, server: ModelServer) -> None:
        prepared = await prepare(server, chat("i1"))
        with pytest.raises(Conflict, match="i1"):
            await prepare(server, chat("i1"))
        server.discard(prepared)

    async def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(self, server: ModelServer) -> None:
        if not self.knows_context:
            pytest.skip("this server learns the context only from a refusal while answering")
        length = server.capacity.context_tokens
        with pytest.raises(ContextExceeded, match=str(length)) as caught:
            await prepare(server, chat("x1", text="word " * (length + 10)))
        assert sum(character.isdigit() for character in caught.value.message) > len(str(length))

    async def test_an_empty_chat_is_refused_by_field(self, server: ModelServer) -> None:
        with pytest.raises((BadRequest, InvalidFields)) as caught:
            await prepare(server, chat("x2", messages=()))
        assert "messages" in (caught.value.param or "")

    async def test_after_a_refusal_the_id_is_free_again(self, server: ModelServer) -> None:
        with pytest.raises(TramontaneError):
            await prepare(server, chat("x3", messages=()))
        assert_one_last_word(await answer(server, chat("x3", max_tokens=2)))

    async def test_a_paused_request_stands_still_and_goes_on(self, server: ModelServer) -> None:
        if not self.can_pause:
            assert server.capacity.can_pause is False
            pytest.skip("this server cannot pause")
        assert server.capacity.can_pause
        prepared = await prepare(server, chat("q1", max_tokens=self.most_tokens))
        async with asyncio.timeout(PATIENCE_S), aclosing(server.generate(prepared)) as batches:
            await anext(batches)
            await server.pause("q1")
            still = asyncio.ensure_future(anext(batches))
            while not (await asyncio.wait((still,), timeout=1.0))[1]:
                assert not isinstance(still.result()[-1], Finished | Failed), "it ended although it was paused"
                still = asyncio.ensure_future(anext(batches))
            await server.resume("q1")
            for _ in range(5):
                assert not isinstance((await still)[-1], Failed)
                still = asyncio.ensure_future(anext(batches))
            await still
        await self.assert_idle(server)

    async def test_a_pause_costs_no_token(self, server: ModelServer) -> None:
        """Whenever it comes: before the first token, in the middle or after the last."""
        if not self.can_pause:
            pytest.skip("this server cannot pause")
        prepared = await prepare(server, chat("q2", max_tokens=40))
        events: list[Event] = []
        async with asyncio.timeout(PATIENCE_S), aclosing(server.generate(prepared)) as batches:
            events += await anext(batches)
            await server.pause("q2")
            await server.resume("q2")
            async for batch in batches:
                events += batch
        assert_one_last_word(events)
        assert spend_of(events).generated_tokens == 40

    async def test_embeddings_keep_order_and_length(self, server: ModelServer) -> None:
        ask = EmbedAsk(id="e1", model="any", inputs=("the sea", "a harbour", "the sea"))
        if not self.can_embed:
            with pytest.raises(TramontaneError):
                await server.embed(ask)
            return
        embedded = await server.embed(ask)
        rows = [np.frombuffer(row, "<f4") for row in embedded.rows]
        assert [len(row) for row in rows] == [embedded.dimensions] * 3
        assert np.allclose(rows[0], rows[2], atol=1e-5)
        assert not np.allclose(rows[0], rows[1], atol=1e-3)
        assert math.isclose(float(np.linalg.norm(rows[0])), 1.0, rel_tol=1e-3)
        assert embedded.spend.prompt_tokens > 0

    async def test_closing_the_server_ends_everything_with_one_failed(self, server: ModelServer) -> None:
        prepared = await prepare(server, chat("z1", max_tokens=self.most_tokens))
        events: list[Event] = []
        async with asyncio.timeout(PATIENCE_S), aclosing(server.generate(prepared)) as batches:
            events += await anext(batches)
            await server.close()
            async for batch in batches:
                events += batch
        assert_one_last_word(events)
        assert isinstance(events[-1], Failed)
        assert events[-1].code == "engine_failed"
        assert not server.alive
        with pytest.raises(TramontaneError):
            await prepare(server, chat("z2"))

    async def assert_idle(self, server: ModelServer) -> None:
        """Nothing runs any more, within `FREE_S`."""
        async with asyncio.timeout(FREE_S):
            while server.load.running:  # noqa: ASYNC110  # a server reports its load, it does not announce it
                await asyncio.sleep(0.02)
