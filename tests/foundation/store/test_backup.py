"""A backup taken while others write comes back whole, into either database, and a damaged one is never taken for good."""

import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text
from tests.foundation.store.accounts import add, names
from tests.postgres import PostgresServer
from tests.waiting import wait_until

from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import BadRequest, Conflict
from tramontane.foundation.progress import silent
from tramontane.foundation.store.archive import MANIFEST
from tramontane.foundation.store.backup import backup
from tramontane.foundation.store.blobs import Blobs
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.restore import restore
from tramontane.foundation.store.schema import current_revision, head_revision, migrate
from tramontane.foundation.store.scope import Scope

SCOPE = Scope("org_a", "ws_a")
NASTY = ("plain", "ümläut 漢字 😀", 'quote " \\ slash', "line\nbreak\ttab", " ", "\x01\x7f", "NULL", "0", "\u2028")
BYTES = bytes(range(256))


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs((tmp_path / "blobs").as_uri())


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A second, empty database to restore into."""
    if request.param == "sqlite":
        opened = Database.open(f"sqlite:///{tmp_path / 'other' / 't.db'}")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        opened = Database.open(server.create())
    yield opened
    opened.close()


def fill(database: Database, blobs: Blobs) -> None:
    for name in NASTY:
        add(database, name)
    with database.write() as connection:
        connection.execute(
            text("INSERT INTO secret (organisation_id, name, value, created_ns) VALUES ('plain', 's', :value, :ns)"),
            {"value": BYTES, "ns": 2**63 - 1},
        )
    for number in range(3):
        blobs.put(SCOPE, f"documents/{number}", io.BytesIO(bytes([number]) * 100_000))


def test_all_of_it_comes_back_into_either_database(
    database: Database, other: Database, blobs: Blobs, tmp_path: Path
) -> None:
    fill(database, blobs)
    told: list[str] = []
    saved = backup(database, blobs, tmp_path / "b.tar", SystemClock(), lambda stage, done, total: told.append(stage))
    assert saved.tables["organisation"].rows == len(NASTY)
    assert len(saved.blobs) == 3
    fresh = Blobs((tmp_path / "fresh").as_uri())
    assert restore(tmp_path / "b.tar", other, fresh, silent) == saved
    assert names(other) == set(NASTY)
    with other.read() as connection:
        value, time_ns = connection.execute(text("SELECT value, created_ns FROM secret")).one()
    assert (bytes(value), time_ns) == (BYTES, 2**63 - 1)
    assert fresh.paths() == blobs.paths()
    with fresh.open(SCOPE, "documents/2") as file:
        assert file.read() == bytes([2]) * 100_000
    assert current_revision(other) == head_revision()
    again = backup(other, fresh, tmp_path / "again.tar", SystemClock(), silent)
    assert (again.tables, again.blobs) == (saved.tables, saved.blobs)
    assert {"saving organisation", "saving files"} <= set(told)


def test_everything_acknowledged_before_it_began_is_in_it(database: Database, other: Database, tmp_path: Path) -> None:
    blobs = Blobs((tmp_path / "blobs").as_uri())
    acknowledged: list[str] = []
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            add(database, f"w{number}")
            acknowledged.append(f"w{number}")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: len(acknowledged) >= 50)
        before = set(acknowledged)
        backup(database, blobs, tmp_path / "b.tar", SystemClock(), silent)
        assert len(acknowledged) >= len(before)
    finally:
        stop.set()
        writer.join()
    restore(tmp_path / "b.tar", other, Blobs((tmp_path / "fresh").as_uri()), silent)
    found = names(other)
    assert before <= found <= set(acknowledged)
    assert found == {f"w{number}" for number in range(len(found))}


def test_a_target_with_something_in_it_is_left_alone_unless_told(
    database: Database, other: Database, blobs: Blobs, tmp_path: Path
) -> None:
    fill(database, blobs)
    backup(database, blobs, tmp_path / "b.tar", SystemClock(), silent)
    migrate(other, silent)
    add(other, "precious")
    fresh = Blobs((tmp_path / "fresh").as_uri())
    with pytest.raises(Conflict, match="organisation"):
        restore(tmp_path / "b.tar", other, fresh, silent)
    assert names(other) == {"precious"}
    fresh.put(SCOPE, "old", io.BytesIO(b"old"))
    restore(tmp_path / "b.tar", other, fresh, silent, replace=True)
    assert names(other) == set(NASTY)
    assert fresh.paths() == blobs.paths()


def test_a_backup_never_overwrites_another(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    add(database, "a")
    backup(database, blobs, tmp_path / "b.tar", SystemClock(), silent)
    before = (tmp_path / "b.tar").read_bytes()
    with pytest.raises(Conflict):
        backup(database, blobs, tmp_path / "b.tar", SystemClock(), silent)
    assert (tmp_path / "b.tar").read_bytes() == before
    assert (tmp_path / "b.tar").stat().st_mode & 0o077 == 0


def test_a_cancelled_backup_leaves_nothing(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    fill(database, blobs)

    def cancel(stage: str, done: int, total: int) -> None:
        if stage == "saving files":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(database, blobs, tmp_path / "b.tar", SystemClock(), cancel)
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name or path.suffix == ".tar"] == []


FILL = """
import resource, signal, sys
from pathlib import Path
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.store.backup import backup
from tramontane.foundation.store.blobs import Blobs
from tramontane.foundation.store.database import Database
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
try:
    backup(Database.open(sys.argv[1]), Blobs(sys.argv[2]), Path(sys.argv[3]), SystemClock(), lambda *told: None)
except Exception as error:
    print(error.code)
"""


@pytest.mark.parametrize("room_bytes", [20_000, 200_000, 300_000])
def test_a_full_disk_is_said_and_leaves_no_half_backup(
    address: str, database: Database, blobs: Blobs, tmp_path: Path, room_bytes: int
) -> None:
    fill(database, blobs)
    (tmp_path / "saved").mkdir()
    target = tmp_path / "saved" / "b.tar"
    command = [sys.executable, "-c", FILL, address, (tmp_path / "blobs").as_uri(), str(target), str(room_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("storage_full", "storage_failed")
    assert list((tmp_path / "saved").iterdir()) == []
    assert database.check() == []


def test_a_folder_that_is_not_there_is_named(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="nowhere"):
        backup(database, blobs, tmp_path / "nowhere" / "b.tar", SystemClock(), silent)


@pytest.fixture
def archive(tmp_path: Path, blobs: Blobs) -> bytes:
    """The bytes of a small backup."""
    database = Database.open(f"sqlite:///{tmp_path / 'source' / 't.db'}")
    migrate(database, silent)
    fill(database, blobs)
    backup(database, blobs, tmp_path / "small.tar", SystemClock(), silent)
    database.close()
    return (tmp_path / "small.tar").read_bytes()


def refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(data)
    target = Database.open(f"sqlite:///{tmp_path / 'target' / 't.db'}")
    with pytest.raises(BadRequest):
        restore(tmp_path / "bad.tar", target, Blobs((tmp_path / "untouched").as_uri()), silent)
    assert current_revision(target) is None
    target.close()


def test_a_flipped_bit_is_found_before_the_target_is_touched(archive: bytes, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = [member for member in tar.getmembers() if member.size and member.name != MANIFEST]
    assert len(members) >= 5
    for member in members:
        data = bytearray(archive)
        data[member.offset_data + member.size // 2] ^= 4
        refused(bytes(data), tmp_path)


def test_a_cut_off_backup_is_refused(archive: bytes, tmp_path: Path) -> None:
    for eighths in range(8):
        refused(archive[: len(archive) * eighths // 8], tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"revision": "9999"},
        {"tables": {"x; DROP TABLE receipt": {"columns": [], "rows": 0, "sha256": "", "content": ""}}},
        {"blobs": {"../../outside": {"size_bytes": 1, "sha256": "00"}}},
        {"unknown": 1},
    ],
)
def test_a_manifest_that_cannot_be_is_refused(archive: bytes, tmp_path: Path, change: dict[str, object]) -> None:
    changed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as source, tarfile.open(fileobj=changed, mode="w") as target:
        for member in source.getmembers():
            file = source.extractfile(member)
            assert file is not None
            data = file.read()
            if member.name == MANIFEST:
                data = msgspec.json.encode({**msgspec.json.decode(data), **change})
                member.size = len(data)
            target.addfile(member, io.BytesIO(data))
    refused(changed.getvalue(), tmp_path)


def test_something_else_is_not_taken_for_a_backup(tmp_path: Path) -> None:
    refused(b"not a backup" * 1000, tmp_path)
