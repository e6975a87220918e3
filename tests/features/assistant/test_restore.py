"""A backup of conversations leaves the search index out, and brings it back with the rows, into either database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.fakes.assistant import PLENTY
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import FakeModelServer
from tests.postgres import PostgresServer

from tramontane.features.assistant import search
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import NewConversation, NewEntry, NewTurn, Owner
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.nouns import Caller
from tramontane.foundation.progress import silent
from tramontane.foundation.store.backup import backup
from tramontane.foundation.store.blobs import Blobs
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.restore import restore
from tramontane.foundation.store.schema import migrate

CALLER = Caller(organisation_id="org", workspace_id="ws", principal_id="p", key_id="key")


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A second database, in use already, to restore into."""
    if request.param == "sqlite":
        opened = Database.open(f"sqlite:///{tmp_path / 'other' / 't.db'}")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        opened = Database.open(server.create())
    migrate(opened, silent)
    yield opened
    opened.close()


async def ask(database: Database, text: str) -> Assistant:
    assistant = Assistant(database, FakeRoom(FakeModelServer("fake")), SystemClock(), PLENTY)
    entry = NewEntry(kind="message.input", role="user", body={"content": text})
    new = NewConversation(model="fake", name=f"About {text}")
    run = await assistant.start(CALLER, new, NewTurn(request_id="request", inputs=(entry,)))
    await run.finished()
    return assistant


def found(database: Database, looked_for: str) -> list[str | None]:
    with database.read() as connection:
        return [hit.name for hit in search.find(connection, Owner.of(CALLER), looked_for, 10)]


async def test_what_comes_back_can_be_found_and_changed(database: Database, other: Database, tmp_path: Path) -> None:
    await ask(database, "tramontane")
    await ask(other, "sirocco")
    blobs, others = Blobs((tmp_path / "blobs").as_uri()), Blobs((tmp_path / "others").as_uri())
    manifest = backup(database, blobs, tmp_path / "backup.tar", SystemClock(), silent)
    assert "conversation_entry" in manifest.tables
    assert not [name for name in manifest.tables if name.startswith("search_")]
    restore(tmp_path / "backup.tar", other, others, silent, replace=True)
    assert found(other, "tramontane") == ["About tramontane"]
    assert found(other, "w3") == ["About tramontane"]
    assert found(other, "sirocco") == []
    if other.kind == "postgresql":  # its planner knows the rows at once
        with other.read() as connection:
            counted = connection.execute(text("SELECT reltuples FROM pg_class WHERE relname = 'conversation_entry'"))
            assert counted.scalar_one() == manifest.tables["conversation_entry"].rows
    assistant = await ask(other, "bora")
    assert found(other, "bora") == ["About bora"]
    with other.read() as connection:
        hit = search.find(connection, Owner.of(CALLER), "tramontane", 10)[0]
    await assistant.forget(Owner.of(CALLER), hit.conversation_id)
    assert found(other, "tramontane") == []
