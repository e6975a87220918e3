"""A flooder beside a quiet workspace, simulated to the token on virtual time: the quiet one must not notice much."""

import asyncio
import itertools
import random
from dataclasses import dataclass, field

import pytest
from tests.fakes.engine_world import Book, Directory, Starter, caller
from tests.fakes.stepping_server import SteppingServer
from tests.fakes.virtual_time import run_virtually, virtual_clock

from tramontane.engine.room import Engine
from tramontane.foundation.errors import RateLimited
from tramontane.foundation.events import Failed
from tramontane.foundation.nouns import Ask, Limits

IDS = itertools.count()
PROMISED_FIRST_TOKEN_S = 0.5


@dataclass
class Seen:
    """What one workspace saw."""

    first_token_s: list[float] = field(default_factory=list)
    tokens: int = 0
    refused: int = 0
    failed: int = 0


class Scene:
    """`total` is what was computed for everyone."""

    def __init__(self, slots: int, seed: int) -> None:
        self.clock = virtual_clock()
        self.server = SteppingServer(slots=slots)
        self.book = Book()
        self.random = random.Random(seed)
        starter = Starter(lambda model: self.server)
        self.engine = Engine(Directory("fake"), starter, self.book, secret=b"s" * 32, clock=self.clock)
        self.seen: dict[str, Seen] = {}

    async def ask(self, workspace: str, prompt_tokens: int, answer_tokens: int) -> None:
        seen = self.seen.setdefault(workspace, Seen())
        began_s = self.clock.time()
        ask = Ask(
            id=f"r{next(IDS)}",
            model="fake",
            kind="text",
            prompt_tokens=tuple(range(prompt_tokens)),
            limits=Limits(max_tokens=answer_tokens),
        )
        try:
            running = await self.engine.open(caller(workspace), ask)
        except RateLimited:
            seen.refused += 1
            return
        first = True
        async for batch in running.events():
            if first:
                seen.first_token_s.append(self.clock.time() - began_s)
                first = False
            seen.tokens += sum(getattr(event, "tokens", 0) for event in batch)
            seen.failed += isinstance(batch[-1], Failed)

    async def endless(self, workspace: str, prompt_tokens: int, answer_tokens: int) -> None:
        while True:
            await self.ask(workspace, prompt_tokens, answer_tokens)

    async def quiet(self, seconds: float) -> None:
        """Somebody typing: a short question now and then, one at a time."""
        while self.clock.time() < seconds:
            await self.ask("quiet", 30, 20)
            await asyncio.sleep(self.random.uniform(0.1, 0.6))


async def scene(slots: int, seed: int, *, seconds: float, burst: int, with_quiet: bool) -> Scene:
    played = Scene(slots, seed)
    await played.engine.load("fake")
    tasks = [asyncio.create_task(played.endless("flooder", 1000, 64)) for _ in range(4)]
    tasks += [asyncio.create_task(played.ask("flooder", 300, 200)) for _ in range(burst)]
    if with_quiet:
        await played.quiet(seconds)
    else:
        await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(3)
    status = played.engine.status()
    assert status.open_requests == 0 and status.lines["fake"].running == status.lines["fake"].paused == 0
    return played


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * (len(values) - 1))]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("burst", [0, 64])
def test_a_quiet_workspace_beside_a_flooder(burst: int, seed: int) -> None:
    seconds = 60.0
    beside = run_virtually(scene(48, seed, seconds=seconds, burst=burst, with_quiet=True))
    quiet = beside.seen["quiet"]
    assert len(quiet.first_token_s) > 20 and not quiet.refused and not quiet.failed
    assert p99(quiet.first_token_s) < PROMISED_FIRST_TOKEN_S
    alone = run_virtually(scene(48, seed, seconds=seconds, burst=burst, with_quiet=False))
    # The flooder may lose what the quiet one used, and no more than a tenth.
    assert beside.seen["flooder"].tokens >= 0.9 * alone.seen["flooder"].tokens


@pytest.mark.parametrize("seed", range(2))
def test_when_two_flooders_hold_everything_a_third_gets_in_by_pausing(seed: int) -> None:
    async def main() -> Scene:
        played = Scene(8, seed)
        await played.engine.load("fake")
        tasks = [asyncio.create_task(played.endless(name, 50, 900)) for name in ("a", "b") for _ in range(8)]
        await asyncio.sleep(10)
        waits = [asyncio.create_task(played.ask(f"late{number}", 30, 400)) for number in range(3)]
        await asyncio.gather(*waits)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return played

    played = run_virtually(main())
    assert played.server.pauses > 0
    for number in range(3):
        seen = played.seen[f"late{number}"]
        assert seen.tokens == 400 and not seen.failed
        assert seen.first_token_s[0] < 8.0


def test_equal_workspaces_get_equal_parts_and_double_weight_double() -> None:
    async def main() -> Scene:
        played = Scene(4, 0)
        await played.engine.load("fake")
        weights = {"one": 1, "same": 1, "double": 2}

        async def endless(name: str) -> None:
            while True:
                ask = Ask(id=f"r{next(IDS)}", model="fake", prompt_tokens=(1,) * 20, limits=Limits(max_tokens=40))
                running = await played.engine.open(caller(name, weight=weights[name]), ask)
                async for batch in running.events():
                    played.seen.setdefault(name, Seen()).tokens += sum(getattr(event, "tokens", 0) for event in batch)

        tasks = [asyncio.create_task(endless(name)) for name in weights for _ in range(6)]
        await asyncio.sleep(120)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return played

    tokens = {name: seen.tokens for name, seen in run_virtually(main()).seen.items()}
    assert 0.95 < tokens["one"] / tokens["same"] < 1.05
    assert 1.8 < tokens["double"] / tokens["one"] < 2.2
