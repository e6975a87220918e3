"""What a presented credential opens is remembered for a moment, and not when it has changed meanwhile."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from tests.records.access.conftest import World

from tramontane.records.access.lookups import Lookups


class Slow:
    """A table of one row, read slowly: what is handed over is what stood there when the reading began."""

    def __init__(self) -> None:
        self.value = "before"
        self.reading = threading.Event()
        self.go_on = threading.Event()
        self.reads = 0

    def __call__(self, key: str) -> str | None:
        self.reads += 1
        found = self.value
        self.reading.set()
        assert self.go_on.wait(20)
        return found


FORGETTING: list[Callable[[Lookups[str, str]], None]] = [
    lambda lookups: lookups.forget("key"),
    lambda lookups: lookups.forget_where(lambda value: value == "before"),
]


@pytest.mark.parametrize("forget", FORGETTING)
@pytest.mark.parametrize("known", [False, True])
async def test_a_look_up_under_way_at_a_change_is_not_remembered(
    world: World, forget: Callable[[Lookups[str, str]], None], known: bool
) -> None:
    table = Slow()
    lookups: Lookups[str, str] = Lookups(world.database, world.clock, table)
    if known:
        table.go_on.set()
        assert await lookups.get("key") == "before"
        world.clock.pass_ns(10**10)
        table.go_on.clear()
        table.reading.clear()
    late = asyncio.create_task(lookups.get("key"))
    await asyncio.to_thread(table.reading.wait, 20)
    table.value = "after"
    forget(lookups)
    now = asyncio.create_task(lookups.get("key"))
    table.go_on.set()
    assert (await late, await now) == ("before", "after")
    reads = table.reads
    assert await lookups.get("key") == "after"
    assert table.reads == reads
