"""A writer killed at any moment loses no row it had acknowledged, on both databases."""

import subprocess
import sys
import time
from pathlib import Path

from tests.foundation.store import accounts
from tests.foundation.store.accounts import add, names

from tramontane.foundation.store.database import Database

KILLS = 6
ENOUGH = 10


def test_no_acknowledged_row_is_lost(address: str, database: Database, tmp_path: Path) -> None:
    acknowledged = tmp_path / "acknowledged"
    acknowledged.touch()
    for round_ in range(KILLS):
        before = len(acknowledged.read_text())
        command = [sys.executable, accounts.__file__, address, f"r{round_}-", str(acknowledged)]
        writer = subprocess.Popen(command)
        try:
            while len(acknowledged.read_text()) < before + ENOUGH * (round_ + 1):
                assert writer.poll() is None
                time.sleep(0.002)
        finally:
            writer.kill()
            writer.wait()
    whole = acknowledged.read_text().rpartition("\n")[0].split("\n")
    found = names(database)
    assert set(whole) <= found
    assert len(found) <= len(whole) + KILLS
    assert database.check() == []
    add(database, "after")
