"""The gateway goes on looking at its store whatever it finds there, stops when writing is no longer safe, and makes way
for a restore."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import make_url

from tramontane.app import gateway
from tramontane.app.gateway import Leaving
from tramontane.entrypoints.api.drain import Drain
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.progress import silent
from tramontane.foundation.settings import Settings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.errors import StoreInUse
from tramontane.foundation.store.lease import leased, taken_over
from tramontane.records.catalog.catalogue import Catalogue


class OddRecords:
    """Books whose catalogue cannot be read; unsafe from the third look on."""

    kind = "sqlite"

    def __init__(self, home: Path) -> None:
        self.looks = 0
        self.url = make_url(f"sqlite:///{home / 'odd.db'}")
        self.database = self.catalogue = self.lease = self

    @property
    def unsafe(self) -> str:
        return "a failed sync" if self.looks >= 2 else ""

    def keep(self) -> None:
        pass

    def refresh(self) -> None:
        self.looks += 1
        raise ValueError("a row of a newer release")

    async def run(self, work: Callable[..., Any], *args: object) -> Any:
        return work(*args)


class TakenRecords(OddRecords):
    """Books that a restore has taken while the database was away."""

    def keep(self) -> None:
        raise StoreInUse("the database is being restored")


async def test_a_gateway_makes_way_whose_store_is_being_restored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gateway, "LOOK_S", 0)
    leaving, records = Leaving(), TakenRecords(tmp_path)
    async with asyncio.timeout(20):
        await gateway._keep_fresh(Settings(home=tmp_path), records, leaving)  # type: ignore[arg-type]
    assert leaving.stop.is_set() and leaving.for_restore and records.looks == 0


async def test_a_gateway_makes_way_when_a_restore_asks(
    monkeypatch: pytest.MonkeyPatch, database: Database, tmp_path: Path
) -> None:
    monkeypatch.setattr(gateway, "LOOK_S", 0)
    leaving, settings = Leaving(), Settings(home=tmp_path)
    catalogue = Catalogue(database, SystemClock())
    with leased(database, tmp_path) as lease:
        records = SimpleNamespace(database=database, lease=lease, catalogue=catalogue)
        watching = asyncio.create_task(gateway._keep_fresh(settings, records, leaving))  # type: ignore[arg-type]
        await asyncio.sleep(0.1)
        assert not leaving.stop.is_set()

        def restore() -> None:
            with taken_over(database, tmp_path, 20, silent):
                pass

        restoring = asyncio.create_task(asyncio.to_thread(restore))
        async with asyncio.timeout(20):
            await watching
        assert leaving.for_restore and not restoring.done()
    async with asyncio.timeout(20):
        await restoring


def test_who_is_told_to_stop_does_not_come_back() -> None:
    leaving = Leaving()
    leaving.stop.set()
    leaving.make_way()
    assert not leaving.for_restore


async def test_the_first_signal_leaves_requests_their_time_even_while_making_way(tmp_path: Path) -> None:
    leaving, serving = Leaving(), asyncio.create_task(asyncio.sleep(20, result=True))
    doors: Any = SimpleNamespace(drain=Drain())
    leaving.make_way()
    with gateway._stopping(doors, Settings(home=tmp_path), leaving, serving, lambda text: None):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
        assert not leaving.for_restore and not serving.cancelling()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait({serving})
    assert serving.cancelled()


async def test_an_unreadable_row_does_not_end_the_watch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(gateway, "LOOK_S", 0)
    leaving = Leaving()
    looking = asyncio.create_task(gateway._keep_fresh(Settings(home=tmp_path), OddRecords(tmp_path), leaving))  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await leaving.stop.wait()
    looking.cancel()
    assert len(caplog.records) == 1 and not leaving.for_restore
