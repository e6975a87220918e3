"""A writer, a disk or a server that fails at any moment loses no row that was acknowledged."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.foundation.store import accounts
from tests.foundation.store.accounts import add, names
from tests.postgres import running_server
from tests.waiting import wait_until

from tramontane.foundation.errors import StorageFull
from tramontane.foundation.progress import silent
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.errors import OutcomeUnknown, StorageFailed
from tramontane.foundation.store.schema import migrate

KILLS = 4
ENOUGH = 10


def test_no_acknowledged_row_is_lost(address: str, database: Database, tmp_path: Path) -> None:
    acknowledged = tmp_path / "acknowledged"
    acknowledged.touch()
    for round_ in range(KILLS):
        before = len(acknowledged.read_text())
        _write_until_killed([address, f"r{round_}-", str(acknowledged)], acknowledged, before + ENOUGH * (round_ + 1))
    whole = acknowledged.read_text().rpartition("\n")[0].split("\n")
    found = names(database)
    assert set(whole) <= found
    assert len(found) <= len(whole) + KILLS
    assert database.check() == []
    add(database, "after")


def _write_until_killed(arguments: list[str], acknowledged: Path, enough: int) -> None:
    writer = subprocess.Popen([sys.executable, accounts.__file__, *arguments])
    try:
        wait_until(lambda: writer.poll() is not None or len(acknowledged.read_text()) >= enough, every_s=0.002)
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.wait()


@pytest.mark.parametrize("room_bytes", [130_000, 150_000, 200_000])
def test_a_disk_that_refuses_keeps_all_acknowledged_rows(tmp_path: Path, room_bytes: int) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 't.db'}")
    migrate(database, silent)
    kept: set[str] = set()
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, before[1]))
    try:
        with pytest.raises((OutcomeUnknown, StorageFailed, StorageFull)):
            for number in range(2000):
                name = f"{number:04d}" + "x" * 500
                add(database, name)
                kept.add(name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert kept
    assert kept <= names(database)
    assert len(names(database)) <= len(kept) + 1
    assert database.check() == []
    add(database, "after")
    database.close()


def test_a_postgresql_that_dies_and_comes_back_has_every_acknowledged_row() -> None:
    with running_server() as server:
        database = Database.open(server.create())
        migrate(database, silent)
        for number in range(20):
            add(database, f"before{number}")
        server.stop()
        with pytest.raises(StorageFailed):
            add(database, "during")
        with pytest.raises(StorageFailed):
            names(database)
        server.restart()
        add(database, "after")
        assert names(database) == {"after", *(f"before{number}" for number in range(20))}
        database.close()
