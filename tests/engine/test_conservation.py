"""Whatever happens in whatever order, every request leaves one receipt, every stream one last word, and no trace stays."""

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.engine_world import Book, Directory, Starter, caller
from tests.fakes.stepping_server import SteppingServer
from tests.fakes.virtual_time import run_virtually, virtual_clock

from tramontane.engine.nouns import Policy
from tramontane.engine.room import Engine
from tramontane.foundation.errors import Conflict, EngineFailed, TramontaneError
from tramontane.foundation.events import Event, Failed, Finished
from tramontane.foundation.nouns import Ask, Limits

FATES = ("read", "read", "read", "leave", "cancel", "close", "slow", "unread", "task cancelled")


@dataclass(frozen=True)
class Plan:
    """One request: when it comes, from whom, how big it is, and what becomes of its reader `after_ms`."""

    arrives_ms: int
    workspace: str
    prompt_tokens: int
    answer_tokens: int
    n: int
    deadline_ms: int | None
    fate: str
    after_ms: int


PLANS = st.lists(
    st.builds(
        Plan,
        arrives_ms=st.integers(0, 6000),
        workspace=st.sampled_from(["a", "b", "c"]),
        prompt_tokens=st.integers(1, 1500),
        answer_tokens=st.integers(1, 400),
        n=st.integers(1, 3),
        deadline_ms=st.one_of(st.none(), st.integers(1, 20_000)),
        fate=st.sampled_from(FATES),
        after_ms=st.integers(0, 9000),
    ),
    min_size=1,
    max_size=16,
)


class Stage:
    def __init__(self, slots: int, can_pause: bool, policy: Policy) -> None:
        self.book = Book()
        self.starter = Starter(lambda model: SteppingServer(model, slots=slots, can_pause=can_pause))
        self.engine = Engine(
            Directory("fake"), self.starter, self.book, secret=b"s", policy=policy, clock=virtual_clock()
        )
        self.last_words: dict[str, int] = {}
        self.after_last = 0
        self.delivered: dict[str, int] = {}

    async def play(self, request_id: str, plan: Plan) -> None:
        await asyncio.sleep(plan.arrives_ms / 1000)
        ask = Ask(
            id=request_id,
            model="fake",
            prompt_tokens=(1,) * plan.prompt_tokens,
            limits=Limits(max_tokens=plan.answer_tokens),
            n=plan.n,
            deadline_ms=plan.deadline_ms,
        )
        who = caller(plan.workspace)
        reading = asyncio.create_task(self._read(ask, plan))
        done, _ = await asyncio.wait([reading], timeout=plan.after_ms / 1000)
        if not done and plan.fate == "cancel":
            self.engine.cancel(request_id, who)
        if not done and plan.fate == "task cancelled":
            reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        if not reading.cancelled():
            error = reading.exception()
            assert error is None or isinstance(error, TramontaneError), repr(error)

    async def _read(self, ask: Ask, plan: Plan) -> None:
        running = await self.engine.open(caller(plan.workspace), ask)
        if plan.fate == "unread":
            return
        seen: list[Event] = []
        stream = running.events()
        async for batch in stream:
            self.after_last += any(isinstance(event, Finished | Failed) for event in seen)
            seen += batch
            tokens = sum(getattr(event, "tokens", 0) for event in batch)
            self.delivered[ask.id] = self.delivered.get(ask.id, 0) + tokens
            if plan.fate == "leave" and len(seen) > 3:
                await stream.aclose()
                return
            if plan.fate == "close" and len(seen) > 3:
                await running.close()
            if plan.fate == "slow":
                await asyncio.sleep(0.5)
        self.last_words[ask.id] = sum(isinstance(event, Finished | Failed) for event in seen)
        assert isinstance(seen[-1], Finished | Failed)

    async def kill(self, at_ms: int) -> None:
        await asyncio.sleep(at_ms / 1000)
        if self.starter.servers:
            self.starter.servers[-1].die()  # type: ignore[attr-defined]

    def assert_conserved(self, plans: list[Plan]) -> None:
        assert sorted(receipt.request_id for receipt in self.book.receipts) == sorted(
            f"r{number}" for number in range(len(plans))
        )
        assert all(words == 1 for words in self.last_words.values()) and not self.after_last
        seating = self.engine._seating
        assert not self.engine._running and not self.engine._opening and not self.engine._interrupted
        assert not seating._works
        for line in seating.lines.values():
            queue = line.queue
            assert (queue.waiting, queue.paused, queue.seats, queue.prefill_tokens) == (0, 0, 0, 0)
            assert not queue.suspects_in_prefill and not line._calls and not line._arriving
        assert all(replica.held_by == 0 for replica in seating.fleet._replicas.values())
        for receipt in self.book.receipts:
            delivered = self.delivered.get(receipt.request_id, 0)
            assert receipt.spend.generated_tokens >= delivered
            assert receipt.outcome != "refused" or not delivered


@settings(max_examples=60, deadline=None)
@given(PLANS, st.lists(st.integers(0, 12_000), max_size=3), st.integers(1, 5), st.booleans(), st.booleans())
def test_every_request_leaves_one_receipt_and_nothing_else(
    plans: list[Plan], deaths_ms: list[int], slots: int, can_pause: bool, drains: bool
) -> None:
    async def main() -> None:
        stage = Stage(slots, can_pause, Policy(run_quantum_s=0.5, pause_after_s=0.2, max_wait_s=8))
        await stage.engine.start()
        tasks = [asyncio.create_task(stage.play(f"r{number}", plan)) for number, plan in enumerate(plans)]
        tasks += [asyncio.create_task(stage.kill(at_ms)) for at_ms in deaths_ms]
        if drains:
            await asyncio.sleep(7)
            await stage.engine.drain(1)
        await asyncio.gather(*tasks)
        if not drains:
            await asyncio.sleep(70)
            await stage.engine.drain(1)
        stage.assert_conserved(plans)

    run_virtually(main())


def test_a_load_that_fails_now_and_then_loses_nobody() -> None:
    async def main() -> None:
        stage = Stage(2, True, Policy())
        stage.starter.failures = [EngineFailed("no"), ValueError("no"), Conflict("no")]
        plans = [Plan(number * 300, "a", 10, 10, 1, None, "read", 10**6) for number in range(12)]
        await asyncio.gather(*(stage.play(f"r{number}", plan) for number, plan in enumerate(plans)))
        stage.assert_conserved(plans)
        outcomes = [receipt.outcome for receipt in stage.book.receipts]
        assert outcomes.count("finished") == 9

    run_virtually(main())
