"""Replacing a store happens whole or not at all, touches nobody else's tables, and only while nobody uses it."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import inspect, text
from tests.foundation.store.accounts import add, names

from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import BadRequest, Conflict, Misconfigured
from tramontane.foundation.progress import silent
from tramontane.foundation.store import lease
from tramontane.foundation.store.archive import MANIFEST, ContentHash
from tramontane.foundation.store.backup import backup
from tramontane.foundation.store.blobs import Blobs
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.errors import StorageFailed, StoreInUse
from tramontane.foundation.store.lease import is_wanted, leased, restoring, taken_over
from tramontane.foundation.store.restore import restore
from tramontane.foundation.store.schema import current_revision, head_revision, migrate
from tramontane.foundation.store.scope import Scope

SCOPE = Scope("org_a", "ws_a")
SAVED, PRECIOUS = {"saved-1", "saved-2"}, {"precious"}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A backup of two organisations and two files."""
    source = Database.open(f"sqlite:///{tmp_path / 'source' / 't.db'}")
    migrate(source, silent)
    for name in SAVED:
        add(source, name)
    blobs = Blobs((tmp_path / "source-blobs").as_uri())
    blobs.put(SCOPE, "same-name", io.BytesIO(b"saved"))
    blobs.put(SCOPE, "new-name", io.BytesIO(b"new"))
    backup(source, blobs, tmp_path / "saved.tar", SystemClock(), silent)
    source.close()
    return tmp_path / "saved.tar"


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    store = Blobs((tmp_path / "blobs").as_uri())
    store.put(SCOPE, "same-name", io.BytesIO(b"precious"))
    store.put(SCOPE, "old-name", io.BytesIO(b"old"))
    return store


@pytest.fixture
def full(database: Database) -> Iterator[Database]:
    add(database, "precious")
    yield database


def contents(blobs: Blobs) -> dict[str, bytes]:
    found = {}
    for name in blobs.names(SCOPE):
        with blobs.open(SCOPE, name) as file:
            found[name] = file.read()
    return found


OLD = {"same-name": b"precious", "old-name": b"old"}
NEW = {"same-name": b"saved", "new-name": b"new"}

KILLED = """
import os, signal, sys
from pathlib import Path
from tramontane.foundation.store.blobs import Blobs
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.restore import restore

def kill(stage, done, total):
    if stage.startswith(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

restore(Path(sys.argv[1]), Database.open(sys.argv[2]), Blobs(sys.argv[3]), kill, replace=True)
"""


@pytest.mark.parametrize("stage", ["checking", "restoring files", "restoring organisation", "reading back", "bringing"])
def test_a_restore_that_is_killed_leaves_what_was_there(
    saved: Path, address: str, full: Database, blobs: Blobs, tmp_path: Path, stage: str
) -> None:
    command = [sys.executable, "-c", KILLED, str(saved), address, (tmp_path / "blobs").as_uri(), stage]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert names(full) == PRECIOUS
    assert OLD.items() <= contents(blobs).items()
    assert current_revision(full) == head_revision()
    restore(saved, full, blobs, silent, replace=True)
    assert (names(full), contents(blobs)) == (SAVED, NEW)
    if full.kind == "sqlite":
        left = {path.name for path in Path(str(full.url.database)).parent.iterdir()}
        assert left <= {"tramontane.db", "tramontane.db-journal", "tramontane.db-wal", "tramontane.db-shm"}


def _twice(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[0]]


def _cut(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1][:-2]]


def _empty(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b'"saved', b'null,"saved', 1) for line in lines]


def _nameless(lines: list[bytes]) -> list[bytes]:
    return [msgspec.json.encode([None] * len(msgspec.json.decode(lines[0])))]


@pytest.mark.parametrize("change", [_twice, _cut, _empty, _nameless])
def test_an_archive_whose_rows_do_not_fit_leaves_what_was_there(
    saved: Path, full: Database, blobs: Blobs, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    forged = saved.with_name("forged.tar")
    _forge(saved, forged, change)
    with pytest.raises(BadRequest):
        restore(forged, full, blobs, silent, replace=True)
    assert (names(full), contents(blobs)) == (PRECIOUS, OLD)


def _forge(source: Path, target: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the organisations and let every hash agree with it."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        files = {member.name: old.extractfile(member).read() for member in old.getmembers()}  # type: ignore[union-attr]
        lines = change(files["tables/organisation.jsonl"].splitlines())
        content = ContentHash()
        for line in lines:
            content.add(line)
        files["tables/organisation.jsonl"] = b"".join(line + b"\n" for line in lines)
        manifest = msgspec.json.decode(files.pop(MANIFEST))
        sha256 = hashlib.sha256(files["tables/organisation.jsonl"]).hexdigest()
        manifest["tables"]["organisation"] |= {"rows": len(lines), "sha256": sha256, "content": content.hexdigest()}
        for name, data in {**files, MANIFEST: msgspec.json.encode(manifest)}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))


def test_tables_of_other_programs_are_neither_saved_nor_dropped(
    saved: Path, full: Database, blobs: Blobs, tmp_path: Path
) -> None:
    with full.write() as connection:
        connection.execute(text("CREATE TABLE theirs (place numeric, thing integer)"))
        connection.execute(text("INSERT INTO theirs VALUES (1, 2)"))
    assert "theirs" not in backup(full, blobs, tmp_path / "ours.tar", SystemClock(), silent).tables
    if full.kind == "sqlite":
        with pytest.raises(Conflict, match="theirs"):
            restore(saved, full, blobs, silent, replace=True)
        assert (names(full), contents(blobs)) == (PRECIOUS, OLD)
    else:
        restore(saved, full, blobs, silent, replace=True)
        assert names(full) == SAVED
    with full.read() as connection:
        assert connection.execute(text("SELECT thing FROM theirs")).scalar_one() == 2


def test_what_others_hang_on_our_tables_is_named_and_nothing_changes(saved: Path, full: Database, blobs: Blobs) -> None:
    if full.kind == "sqlite":
        pytest.skip("there the file is replaced whole")
    with full.write() as connection:
        connection.execute(text("CREATE VIEW their_view AS SELECT name FROM organisation"))
    with pytest.raises(Conflict, match="their_view"):
        restore(saved, full, blobs, silent, replace=True)
    assert (names(full), contents(blobs)) == (PRECIOUS, OLD)


def test_another_programs_table_under_a_name_of_ours_stays(saved: Path, address: str, blobs: Blobs) -> None:
    database = Database.open(address)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE organisation (theirs integer)"))
    with pytest.raises(Conflict, match="organisation"):
        restore(saved, database, blobs, silent, replace=True)
    with database.read() as connection:
        assert [column["name"] for column in inspect(connection).get_columns("organisation")] == ["theirs"]
    database.close()


def test_a_newer_releases_database_gives_way_to_a_backup_where_that_is_safe(
    saved: Path, full: Database, blobs: Blobs
) -> None:
    with full.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    if full.kind == "sqlite":
        restore(saved, full, blobs, silent, replace=True)
        assert names(full) == SAVED
        return
    with pytest.raises(Misconfigured, match="9999"):
        restore(saved, full, blobs, silent, replace=True)
    assert names(full) == PRECIOUS


def test_a_damaged_file_is_replaced_when_told(saved: Path, tmp_path: Path, blobs: Blobs) -> None:
    path = tmp_path / "damaged.db"
    path.write_bytes(b"this was a database once" * 1000)
    path.with_name("damaged.db-journal").write_bytes(b"and this its journal" * 100)
    database = Database.open(f"sqlite:///{path}")
    with pytest.raises(StorageFailed):
        restore(saved, database, blobs, silent)
    restore(saved, database, blobs, silent, replace=True)
    assert names(database) == SAVED
    add(database, "later")
    assert database.check() == []
    database.close()


def test_a_link_to_the_file_stays_one(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link, file = tmp_path / "link.db", tmp_path / "disk" / "real.db"
    link.symlink_to(file)
    database = Database.open(f"sqlite:///{link}")
    migrate(database, silent)
    restore(saved, database, Blobs((tmp_path / "none").as_uri()), silent, replace=True)
    assert link.is_symlink() and names(database) == SAVED
    assert sorted(path.name for path in file.parent.iterdir()) == ["real.db"]
    database.close()


def test_many_may_use_a_store_and_one_alone_may_replace_it(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "ASKING_S", 0.3)
    here, there = Database.open(address), Database.open(address)
    homes = tmp_path / "one", tmp_path / "two"
    for home in homes:
        home.mkdir()
    with (
        leased(here, homes[0]),
        leased(there, homes[1]),
        pytest.raises(StoreInUse, match="stop the server"),
        taken_over(there, homes[1], 0, silent),
    ):
        pass
    with taken_over(here, homes[0], 0, silent):
        with pytest.raises(StoreInUse, match="being restored"), leased(there, homes[1]):
            pass
        with pytest.raises(StoreInUse, match="stop the server"), taken_over(there, homes[1], 0, silent):
            pass
    with taken_over(here, homes[0], 0, silent):
        pass
    here.close()
    there.close()


def test_who_takes_over_asks_and_waits_until_all_have_made_way(address: str, tmp_path: Path) -> None:
    here, there = Database.open(address), Database.open(address)
    reports: list[str] = []
    with ExitStack() as serving:
        serving.enter_context(leased(here, tmp_path))
        assert not is_wanted(here, tmp_path)

        def waiting(stage: str, done: int, total: int) -> None:
            assert is_wanted(here, tmp_path)
            reports.append(stage)
            if len(reports) == 3:
                serving.close()

        with taken_over(there, tmp_path, 20, waiting):
            assert is_wanted(here, tmp_path)
            with pytest.raises(StoreInUse, match="being restored"), leased(here, tmp_path):
                pass
    assert len(reports) == 3
    with leased(here, tmp_path):
        assert not is_wanted(here, tmp_path)
        with pytest.raises(StoreInUse, match="in use"), taken_over(there, tmp_path, 0.3, silent):
            pass
        assert not is_wanted(here, tmp_path)
    here.close()
    there.close()


def test_a_folder_under_two_names_is_one_folder(tmp_path: Path) -> None:
    (tmp_path / "true").mkdir()
    (tmp_path / "other").symlink_to(tmp_path / "true")
    database = Database.open(f"sqlite:///{tmp_path / 'other' / 'tramontane.db'}")
    with restoring(database, tmp_path / "true"), taken_over(database, tmp_path / "true", 0, silent):
        pass
    database.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be let into the files of another user")
@pytest.mark.parametrize("taken_by_another", [7, 4_000_000])
def test_root_leaves_nothing_in_the_folder_of_another_users_server(tmp_path: Path, taken_by_another: int) -> None:
    with closing(Database.open(f"sqlite:///{tmp_path / 'db.sqlite'}")) as database:
        with leased(database, tmp_path):
            pass
        os.chown(tmp_path / lease.USE.file, taken_by_another, -1)
        before = sorted(tmp_path.iterdir())
        with pytest.raises(Misconfigured, match=r"sudo -u '(lp|#4000000)'"), restoring(database, tmp_path):
            pass
        assert sorted(tmp_path.iterdir()) == before


def test_one_restore_at_a_time(address: str, tmp_path: Path) -> None:
    here, there = Database.open(address), Database.open(address)
    with (
        restoring(here, tmp_path),
        leased(there, tmp_path),
        pytest.raises(StoreInUse, match="another restore"),
        restoring(there, tmp_path),
    ):
        pass
    with restoring(there, tmp_path):
        pass
    here.close()
    there.close()


def test_others_work_on_until_all_is_ready_and_their_work_stands_when_the_target_stays_in_use(
    saved: Path, full: Database, blobs: Blobs, tmp_path: Path
) -> None:
    @contextmanager
    def never() -> Iterator[None]:
        add(full, "meanwhile")
        raise StoreInUse("somebody does not let go")
        yield

    with pytest.raises(StoreInUse):
        restore(saved, full, blobs, silent, replace=True, alone=never)
    assert (names(full), contents(blobs)) == (PRECIOUS | {"meanwhile"}, OLD)
    assert not list(tmp_path.rglob("*.restoring*"))


def test_what_was_filled_while_one_waited_is_not_overwritten_unasked(saved: Path, address: str, tmp_path: Path) -> None:
    database = Database.open(address)
    migrate(database, silent)

    @contextmanager
    def late() -> Iterator[None]:
        add(database, "late")
        yield

    with pytest.raises(Conflict, match="not empty"):
        restore(saved, database, Blobs((tmp_path / "none").as_uri()), silent, alone=late)
    assert names(database) == {"late"}
    database.close()


def test_a_lease_is_taken_again_after_its_connection_broke(address: str, tmp_path: Path) -> None:
    here, there = Database.open(address), Database.open(address)
    with leased(here, tmp_path) as held:
        held.keep()
        if here.kind == "postgresql":
            with there.apart() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
        held.keep()
        held.keep()
        with pytest.raises(StoreInUse), taken_over(there, tmp_path, 0, silent):
            pass
    here.close()
    there.close()
