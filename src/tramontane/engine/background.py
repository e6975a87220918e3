"""Tasks that nobody waits for: held until they are done, cancelled at the end. Knows nothing of what they do."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """The engine's tasks in the background; used on one event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it, held until done; who needs its outcome awaits the task."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._is_done)
        return task

    async def close(self) -> None:
        """Cancel what still runs and return once it has ended."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _is_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Marks it as seen: loads report through `changed` and to whoever waits for them.
            task.exception()
