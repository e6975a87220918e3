"""The gateway goes on looking at its store whatever it finds there, and stops when writing is no longer safe."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tramontane.app import gateway


class OddRecords:
    """Books whose catalogue cannot be read; unsafe from the third look on."""

    def __init__(self) -> None:
        self.looks = 0
        self.database = self.catalogue = self

    @property
    def unsafe(self) -> str:
        return "a failed sync" if self.looks >= 2 else ""

    def refresh(self) -> None:
        self.looks += 1
        raise ValueError("a row of a newer release")

    async def run(self, work: Callable[[], Any]) -> Any:
        return work()


async def test_an_unreadable_row_does_not_end_the_watch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gateway, "LOOK_S", 0)
    stop = asyncio.Event()
    looking = asyncio.create_task(gateway._keep_fresh(OddRecords(), stop))  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await stop.wait()
    looking.cancel()
    assert len(caplog.records) == 1
