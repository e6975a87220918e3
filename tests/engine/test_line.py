"""What a line is told of served work decides whose turn it is next: answers count, what the cache saved does not."""

import asyncio

from tests.engine.world import virtually
from tests.fakes.model_server import FakeModelServer
from tests.fakes.virtual_time import virtual_clock

from tramontane.engine.line import Line
from tramontane.engine.nouns import Policy
from tramontane.engine.queue import Ticket
from tramontane.foundation.nouns import Spend

PROMPT_TOKENS = 100


class OneSeat:
    """A line before a server with a single seat; `turns` is who got it, in order."""

    def __init__(self) -> None:
        self.clock = virtual_clock()
        server = FakeModelServer(slots=1)
        self.line = Line(Policy(), self.clock, lambda: server, asyncio.ensure_future)
        self.turns: list[str] = []
        self.tickets: dict[str, Ticket] = {}

    async def join(self, name: str) -> None:
        """Stand in line for the workspace of the name's first letter; it arrives later than those before it."""
        await asyncio.sleep(0.001)
        now_ns = self.clock.monotonic_ns()
        ticket = self.tickets[name] = Ticket(
            id=name, workspace=name[0], key="k", weight=1, prompt_tokens=PROMPT_TOKENS, expected_tokens=10,
            arrived_ns=now_ns, give_up_ns=now_ns + 10**12,
        )  # fmt: skip
        task = asyncio.ensure_future(self.line.wait(ticket))
        task.add_done_callback(lambda _: self.turns.append(name))
        await asyncio.sleep(0)

    async def end(self, name: str, cached_tokens: int = 0) -> None:
        """Its answer is over; whoever's turn is next gets the seat."""
        spend = Spend(prompt_tokens=PROMPT_TOKENS, cached_tokens=cached_tokens, generated_tokens=1)
        self.line.ended(self.tickets[name], spend)
        await asyncio.sleep(0.001)


@virtually
async def test_who_was_given_a_long_answer_lets_others_go_before() -> None:
    seat = OneSeat()
    for name in ("a1", "a2", "b1", "b2"):
        await seat.join(name)
    seat.line.served(seat.tickets["a1"], 1000)
    for name in ("a1", "b1", "b2"):
        await seat.end(name)
    assert seat.turns == ["a1", "b1", "b2", "a2"]
    seat.line.close()


@virtually
async def test_a_prompt_found_in_the_cache_costs_its_workspace_no_turn() -> None:
    for cached_tokens, order in ((PROMPT_TOKENS - 1, ["a1", "a2", "b1"]), (0, ["a1", "b1", "a2"])):
        seat = OneSeat()
        for name in ("a1", "b1", "a2"):
            await seat.join(name)
        for name in order[:2]:
            await seat.end(name, cached_tokens)
        assert seat.turns == order
        seat.line.close()
