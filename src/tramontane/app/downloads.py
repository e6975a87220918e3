"""Models on their way to this machine: each pull on a thread, one per model at a time, its progress kept for whoever looks.

Knows no catalogue and no source: what a pull does comes in as a function. Nothing here depends on the browser that asked.
A process that ends takes its pulls along; what has arrived waits in its folder and is no model until a pull completes it.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from tramontane.adapters.sources.errors import PullCancelled
from tramontane.foundation.errors import Conflict, TramontaneError
from tramontane.foundation.progress import ProgressReport

AT_ONCE = 2
WAITING = "waiting"
BROKEN = "something broke inside; the operator finds it in the log"
log = logging.getLogger(__name__)

Pull = Callable[[ProgressReport, threading.Event], object]
"""Blocking: fetches, reports, ends when the event is set, raises what went wrong."""


@dataclass(slots=True, eq=False)
class Download:
    """One pull. Its thread writes progress and `error`, the event loop reads them; `error` is final once `over`."""

    stage: str = WAITING
    done: int = 0
    total: int = 0
    error: str = ""
    over: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    work: "Future[None] | None" = None

    def report(self, stage: str, done: int, total: int) -> None:
        self.stage, self.done, self.total = stage, done, total


class Downloads:
    """All pulls of this process. Called on the event loop only."""

    def __init__(self, *, at_once: int = AT_ONCE) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="pull")
        self._known: dict[str, Download] = {}

    def start(self, name: str, pull: Pull) -> Download:
        """Begin, or give the pull that is under way. Raises Conflict while one is being stopped."""
        known = self.under_way(name)
        if known is not None:
            if known.stop.is_set():
                raise Conflict(f"fetching {name} is being stopped; try again in a moment", code="stopping")
            return known
        made = self._known[name] = Download()
        made.work = self._pool.submit(_run, name, made, pull)
        return made

    def under_way(self, name: str) -> Download | None:
        """The pull of that model that waits or runs."""
        known = self._known.get(name)
        return known if known is not None and not known.over else None

    def failure(self, name: str) -> str:
        """Why the last pull of the model failed; empty when it did not."""
        known = self._known.get(name)
        return known.error if known is not None and known.over else ""

    def cancel(self, name: str) -> None:
        """Tell the pull to stop, if there is one; a failure of the last one is forgotten."""
        known = self.under_way(name)
        if known is None:
            self._known.pop(name, None)
            return
        known.stop.set()
        if known.work is not None and known.work.cancel():  # it had not begun
            known.over = True

    async def close(self) -> None:
        """Stop every pull and wait until its thread has put its files away."""
        for name in list(self._known):
            self.cancel(name)
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)


def _run(name: str, download: Download, pull: Pull) -> None:
    def report(stage: str, done: int, total: int) -> None:
        if download.stop.is_set():
            raise PullCancelled("the pull was stopped; start it again to go on where it stopped")
        download.report(stage, done, total)

    try:
        pull(report, download.stop)
    except PullCancelled:
        pass
    except TramontaneError as error:
        download.error = error.message
        log.warning("fetching %s failed: %s", name, error.message)
    # The end of a thread: whatever broke is said on the page, and the next pull begins anew.
    except Exception:
        download.error = BROKEN
        log.exception("fetching %s broke", name)
    finally:
        download.over = True
