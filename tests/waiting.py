"""Waiting for what happens elsewhere: look again until it holds. The limit only ends a hang; nothing is judged by it."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 60.0


async def until(holds: Callable[[], Any], every_s: float = 0.01) -> Any:
    """What `holds` gives, or its coroutine, once that is true. The test fails when it never is."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = holds()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"it did not come about within {PATIENCE_S:.0f} s"
        await asyncio.sleep(every_s)


def wait_until(
    holds: Callable[[], Any], told: Callable[[], object] = str, limit_s: float = PATIENCE_S, every_s: float = 0.05
) -> Any:
    """The same where no event loop runs; a failure shows what is `told`."""
    end = time.monotonic() + limit_s
    while not (found := holds()):
        assert time.monotonic() < end, f"it did not come about within {limit_s:.0f} s: {told()}"
        time.sleep(every_s)
    return found
