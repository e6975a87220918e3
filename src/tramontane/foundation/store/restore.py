"""Brings a backup back, into either database. Says done only after reading back every row and file it wrote.

The archive is checked whole before the target is touched. The gateway must not run meanwhile. Blocking.
"""

import itertools
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from sqlalchemy import Connection, MetaData, Table, func, select

from tramontane.foundation.errors import BadRequest, Conflict
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.store import archive
from tramontane.foundation.store.archive import ContentHash, LineReader, Manifest
from tramontane.foundation.store.backup import BATCH_ROWS, lines_of, tables_of
from tramontane.foundation.store.blobs import Blobs, checked_path
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.derived import build_derived, drop_derived
from tramontane.foundation.store.schema import knows, migrate


def restore(
    source: Path, database: Database, blobs: Blobs, report: ProgressReport, *, replace: bool = False
) -> Manifest:
    """Fill an empty database and blob store from `source`, then bring the tables up to date.

    Raises BadRequest for a damaged or foreign archive and for one of a newer release, Conflict when the target holds
    something and `replace` does not say that it may go.
    """
    with _opened(source) as tar:
        manifest = archive.read_manifest(tar)
        if not knows(manifest.revision):
            raise BadRequest(
                f"the backup is of a newer release (step {manifest.revision}); restore it with that release"
            )
        for path in manifest.blobs:
            checked_path(path)
        total = len(archive.expected(manifest))
        for position, name in enumerate(archive.verify(tar, manifest), 1):
            report(f"checking {name}", position, total)
        _make_room(database, blobs, replace)
        migrate(database, report, target=manifest.revision)
        _fill_tables(tar, manifest, database, report)
        _fill_blobs(tar, manifest, blobs, report)
    _check_tables(manifest, database, report)
    migrate(database, report)
    return manifest


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source, mode="r:") as tar:
            yield tar
    except FileNotFoundError:
        raise BadRequest(f"there is no file {source}") from None
    except tarfile.TarError as error:
        raise BadRequest(f"{source} is not a backup of ours, or was cut off: {error}") from None


def _make_room(database: Database, blobs: Blobs, replace: bool) -> None:
    paths = blobs.paths()
    with database.read() as connection:
        used = [table.name for table in tables_of(connection) if _count(connection, table)]
    if (used or paths) and not replace:
        what = ", ".join([*used, *(["files"] if paths else [])])
        raise Conflict(
            f"the target is not empty (it has {what}); restore into a new one, or say that it may be replaced"
        )
    with database.write() as connection:
        drop_derived(connection)
        everything = MetaData()
        everything.reflect(connection)
        everything.drop_all(connection)
    for path in paths:
        blobs.delete_path(path)


def _fill_tables(tar: tarfile.TarFile, manifest: Manifest, database: Database, report: ProgressReport) -> None:
    """All rows in one transaction, so that a broken restore leaves an empty database."""
    with database.write() as connection:
        tables = tables_of(connection)
        unknown = set(manifest.tables) - {table.name for table in tables}
        if unknown:
            raise BadRequest(f"the backup has tables this release does not know: {', '.join(sorted(unknown))}")
        for table in tables:
            if table.name in manifest.tables:
                _fill_table(tar, manifest, connection, table, report)
        build_derived(connection)


def _fill_table(
    tar: tarfile.TarFile, manifest: Manifest, connection: Connection, table: Table, report: ProgressReport
) -> None:
    entry = manifest.tables[table.name]
    file = cast(IO[bytes], tar.extractfile(archive.table_member(table.name)))
    reader = LineReader(table, entry.columns)
    rows = (reader.row(line) for line in file)
    done = 0
    for batch in _batches(rows):
        connection.execute(table.insert(), batch)
        done += len(batch)
        report(f"restoring {table.name}", done, entry.rows)


def _fill_blobs(tar: tarfile.TarFile, manifest: Manifest, blobs: Blobs, report: ProgressReport) -> None:
    for position, (path, entry) in enumerate(manifest.blobs.items(), 1):
        stored = blobs.put_path(path, cast(IO[bytes], tar.extractfile(archive.blob_member(path))))
        if stored.sha256 != entry.sha256:
            raise BadRequest(f"the file {path} arrived changed; check the disk and restore again")
        report("restoring files", position, len(manifest.blobs))


def _check_tables(manifest: Manifest, database: Database, report: ProgressReport) -> None:
    """Read back what is now in the database and compare it with what the backup said."""
    with database.read() as connection:
        tables = {table.name: table for table in tables_of(connection)}
        for position, (name, entry) in enumerate(manifest.tables.items(), 1):
            content, rows = ContentHash(), 0
            for line in lines_of(connection, tables[name], entry.columns):
                content.add(line)
                rows += 1
            if (rows, content.hexdigest()) != (entry.rows, entry.content):
                raise BadRequest(f"table {name} arrived changed ({rows} rows of {entry.rows}); restore again")
            report(f"reading back {name}", position, len(manifest.tables))


def _batches(rows: Iterator[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    while batch := list(itertools.islice(rows, BATCH_ROWS)):
        yield batch


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
