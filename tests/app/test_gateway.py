"""The gateway goes on looking at its store whatever it finds there, and stops when writing is no longer safe."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tramontane.app import gateway
from tramontane.foundation.store.errors import StoreInUse


class OddRecords:
    """Books whose catalogue cannot be read; unsafe from the third look on."""

    def __init__(self) -> None:
        self.looks = 0
        self.database = self.catalogue = self.lease = self

    @property
    def unsafe(self) -> str:
        return "a failed sync" if self.looks >= 2 else ""

    def keep(self) -> None:
        pass

    def refresh(self) -> None:
        self.looks += 1
        raise ValueError("a row of a newer release")

    async def run(self, work: Callable[[], Any]) -> Any:
        return work()


class TakenRecords(OddRecords):
    """Books that a restore has taken while the database was away."""

    def keep(self) -> None:
        raise StoreInUse("the database is being restored")


async def test_a_gateway_stops_whose_store_is_being_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "LOOK_S", 0)
    stop, records = asyncio.Event(), TakenRecords()
    async with asyncio.timeout(20):
        await gateway._keep_fresh(records, stop)  # type: ignore[arg-type]
    assert stop.is_set() and records.looks == 0


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
