"""Pulls on threads: one per model, stopped when told, their failures in words, none left behind at the end."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from tests.waiting import PATIENCE_S, until

from tramontane.adapters.sources.errors import SourceFailed
from tramontane.app.downloads import BROKEN, WAITING, Downloads
from tramontane.foundation.errors import Conflict
from tramontane.foundation.progress import ProgressReport


class Held:
    """A pull that reports and waits until it is let go or stopped through its next report; then it ends when it may."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()
        self.calls = 0

    def __call__(self, report: ProgressReport, stop: threading.Event) -> None:
        self.calls += 1
        step = 0
        try:
            while not self.go.wait(0.01):
                step += 1
                report("fetching", step, 1000)
        finally:
            self.may_end.wait(PATIENCE_S)


@pytest.fixture
async def downloads() -> AsyncIterator[Downloads]:
    made = Downloads(at_once=1)
    yield made
    await made.close()


async def test_a_second_request_joins_the_pull_under_way(downloads: Downloads) -> None:
    held = Held()
    first = downloads.start("m", held)
    assert downloads.start("m", held) is first
    await until(lambda: first.done > 0)
    assert (first.stage, first.total) == ("fetching", 1000)
    held.go.set()
    await until(lambda: first.over)
    assert held.calls == 1 and downloads.under_way("m") is None and downloads.failure("m") == ""


async def test_what_waits_says_so_and_is_taken_back_at_once(downloads: Downloads) -> None:
    held, never = Held(), Held()
    first, second = downloads.start("a", held), downloads.start("b", never)
    await until(lambda: first.done > 0)
    assert second.stage == WAITING
    downloads.cancel("b")
    assert second.over and downloads.under_way("b") is None
    held.go.set()
    await until(lambda: first.over)
    assert never.calls == 0


async def test_a_stopped_pull_is_no_failure_and_may_be_started_again(downloads: Downloads) -> None:
    held = Held()
    first = downloads.start("m", held)
    await until(lambda: first.done > 0)
    held.may_end.clear()
    downloads.cancel("m")
    with pytest.raises(Conflict, match="being stopped"):
        downloads.start("m", held)
    held.may_end.set()
    await until(lambda: first.over)
    assert downloads.failure("m") == ""
    again = downloads.start("m", held)
    assert again is not first
    held.go.set()
    await until(lambda: again.over)


async def test_a_failure_keeps_its_words_until_the_next_start(downloads: Downloads) -> None:
    def refused(report: ProgressReport, stop: threading.Event) -> None:
        raise SourceFailed("the hub cannot be reached; try again")

    def broken(report: ProgressReport, stop: threading.Event) -> None:
        raise RuntimeError("/a/path/of/this/machine")

    first = downloads.start("m", refused)
    await until(lambda: first.over)
    assert downloads.failure("m") == "the hub cannot be reached; try again"
    second = downloads.start("m", broken)
    assert downloads.failure("m") in ("", BROKEN)
    await until(lambda: second.over)
    assert downloads.failure("m") == BROKEN
    downloads.cancel("m")
    assert downloads.failure("m") == ""


async def test_closing_stops_everything() -> None:
    made = Downloads(at_once=1)
    first, second = made.start("a", Held()), made.start("b", Held())
    async with asyncio.timeout(PATIENCE_S):
        await made.close()
    assert first.over and second.over
