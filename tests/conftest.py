"""Fixtures every test may use: an empty data folder and a migrated database of each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.postgres import PostgresServer, running_server

from tramontane.foundation.progress import silent
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.schema import migrate

# A busy machine is no failure: by default an example that takes a fifth of a second would be one.
settings.register_profile("tramontane", deadline=None)
settings.load_profile("tramontane")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder that settings read in this test will use."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("TRAMONTANE_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One real PostgreSQL server for the whole session."""
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database; the test runs once per kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store' / 'tramontane.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    address = server.create()
    yield address
    server.drop(address)


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    """An open, migrated database; the test runs once per kind."""
    opened = Database.open(address)
    try:
        migrate(opened, silent)
        yield opened
    finally:
        opened.close()
