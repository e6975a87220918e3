"""Writes a backup while the gateway serves: one consistent moment of the database, then the blobs that moment names.

The file appears under its name once it is complete and on the disk. It holds the keys' hashes and the server's secret, so
it is readable by its owner only. Blocking; called by the command line.
"""

import os
import tarfile
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO

import msgspec
from sqlalchemy import Connection, MetaData, Table, func, select

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import BadRequest, Conflict, Misconfigured, NotFound
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.store import archive
from tramontane.foundation.store.archive import BlobEntry, ContentHash, Manifest, TableEntry
from tramontane.foundation.store.blobs import Blobs
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.derived import is_derived
from tramontane.foundation.store.disk import flush, translated
from tramontane.foundation.store.schema import known_revision, own_tables

VERSION_TABLE = "alembic_version"
BATCH_ROWS = 1000


def backup(database: Database, blobs: Blobs, target: Path, clock: Clock, report: ProgressReport) -> Manifest:
    """Write everything to `target`, telling `report(stage, done, total)`; an error raised by it cancels.

    Everything acknowledged before the call is in it. Raises Conflict when `target` exists, BadRequest when its folder does
    not, storage errors; then nothing is left.
    """
    if not target.parent.is_dir():
        raise BadRequest(f"there is no folder {target.parent} for the backup; create it or choose another")
    if target.exists():
        raise Conflict(f"{target} exists; choose another name for the backup")
    with translated(), tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as name:
        folder = Path(name)
        partial = folder / "archive.tar"
        with partial.open("xb") as file:
            partial.chmod(0o600)
            manifest = _write(file, folder, database, blobs, clock, report)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
    flush(target.parent)
    return manifest


def tables_of(connection: Connection, own: Collection[str]) -> list[Table]:
    """Our tables as they are in this database, those that others point to first; without what is derived from them."""
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name in own and not is_derived(name))
    return [table for table in found.sorted_tables if table.name != VERSION_TABLE]


def lines_of(connection: Connection, table: Table, columns: list[str]) -> Iterator[bytes]:
    """Every row as a line, without holding the table in memory."""
    query = select(*(table.c[name] for name in columns)).execution_options(yield_per=BATCH_ROWS)
    for row in connection.execute(query):
        yield archive.to_line(row)


def _write(
    file: IO[bytes], folder: Path, database: Database, blobs: Blobs, clock: Clock, report: ProgressReport
) -> Manifest:
    with tarfile.open(fileobj=file, mode="w") as tar:
        with _moment(database, folder, report) as connection:
            created_ns = clock.now_ns()
            revision = known_revision(connection)
            if revision is None:
                raise Misconfigured("the database is empty; there is nothing to back up")
            tables = {
                str(table.name): _add_table(tar, folder, connection, table, report)
                for table in tables_of(connection, own_tables(revision))
            }
        kept = _add_blobs(tar, blobs, report)
        manifest = Manifest(archive.FORMAT, revision, created_ns, tables, kept)
        data = msgspec.json.format(msgspec.json.encode(manifest))
        tar.addfile(_member(archive.MANIFEST, len(data)), BytesIO(data))
        return manifest


@contextmanager
def _moment(database: Database, folder: Path, report: ProgressReport) -> Iterator[Connection]:
    """One consistent view: a snapshot on PostgreSQL, a quick copy on SQLite so that its writers need not wait long."""
    if database.kind == "postgresql":
        with database.snapshot() as connection:
            yield connection
        return
    report("copying the database", 0, 0)
    database.copy_to(folder / "copy.db")
    copy = Database.open(f"sqlite:///{folder / 'copy.db'}")
    try:
        with copy.read() as connection:
            yield connection
    finally:
        copy.close()


def _add_table(
    tar: tarfile.TarFile, folder: Path, connection: Connection, table: Table, report: ProgressReport
) -> TableEntry:
    columns = archive.columns_of(table)
    total = connection.execute(select(func.count()).select_from(table)).scalar_one()
    content, rows = ContentHash(), 0
    with tempfile.TemporaryFile(dir=folder) as lines:
        for line in lines_of(connection, table, columns):
            lines.write(line + b"\n")
            content.add(line)
            rows += 1
            if rows % BATCH_ROWS == 0:
                report(f"saving {table.name}", rows, total)
        size = lines.tell()
        lines.seek(0)
        sha256 = archive.sha256_of(lines)
        lines.seek(0)
        tar.addfile(_member(archive.table_member(table.name), size), lines)
    report(f"saving {table.name}", rows, total)
    return TableEntry(columns, rows, sha256, content.hexdigest())


def _add_blobs(tar: tarfile.TarFile, blobs: Blobs, report: ProgressReport) -> dict[str, BlobEntry]:
    """Every file; one that is deleted meanwhile was not to be kept."""
    entries: dict[str, BlobEntry] = {}
    paths = blobs.paths()
    for position, path in enumerate(paths):
        report("saving files", position, len(paths))
        with suppress(NotFound):
            entries[path] = _add_blob(tar, blobs, path)
    return entries


def _add_blob(tar: tarfile.TarFile, blobs: Blobs, path: str) -> BlobEntry:
    with blobs.open_path(path) as file:
        sha256 = archive.sha256_of(file)
        size_bytes = file.tell()
        file.seek(0)
        tar.addfile(_member(archive.blob_member(path), size_bytes), file)
    return BlobEntry(size_bytes, sha256)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    return member
