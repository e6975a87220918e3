"""Brings a backup back, into either database. Says done only after reading back every row and file it wrote.

The archive is checked whole before the target is touched, and the target changes at one moment or not at all. While it
does, nobody else may use the store (see `lease`); until then others may work on. Blocking.
"""

import itertools
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, cast

from sqlalchemy import URL, Connection, MetaData, Table, func, inspect, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from tramontane.foundation.errors import BadRequest, Conflict, Misconfigured
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.store import archive, postgresql, sqlite
from tramontane.foundation.store.archive import ContentHash, LineReader, Manifest
from tramontane.foundation.store.backup import BATCH_ROWS, lines_of, tables_of
from tramontane.foundation.store.blobs import Blobs, checked_path
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.derived import build_derived
from tramontane.foundation.store.errors import StorageFailed
from tramontane.foundation.store.schema import known_revision, knows, own_tables, revision_of, upgrade

BESIDE = ".restoring"
DEPENDED_ON = "2BP01"


def restore(
    source: Path,
    database: Database,
    blobs: Blobs,
    report: ProgressReport,
    *,
    replace: bool = False,
    alone: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Manifest:
    """Fill an empty database and blob store from `source`, then bring the tables up to date.

    All or nothing: until the new rows are in and read back, the old ones stand, and only our own tables go. `alone` is
    entered when everything that can be made ready beside others is, and keeps them out while the target changes; one
    restore at a time, which is the caller's to see to. Raises BadRequest for a damaged or foreign archive and for one
    of a newer release, Conflict when the target holds something and `replace` does not say that it may go, or holds
    what is not ours to replace, and what `alone` raises.
    """
    with _opened(source) as tar:
        manifest = _checked(tar, report)
        _require_room(database, blobs, replace)
        with _made_ready(tar, manifest, database, report) as put_in_place, alone():
            _require_room(database, blobs, replace)
            added = _add_blobs(tar, manifest, blobs, report)
            try:
                put_in_place()
            except BaseException:
                for path in added:
                    blobs.delete_path(path)
                raise
            _settle_blobs(tar, manifest, blobs)
    return manifest


def _checked(tar: tarfile.TarFile, report: ProgressReport) -> Manifest:
    """The manifest of an archive every byte of which is as it says."""
    manifest = archive.read_manifest(tar)
    if not knows(manifest.revision):
        raise BadRequest(f"the backup is of a newer release (step {manifest.revision}); restore it with that release")
    for path in manifest.blobs:
        checked_path(path)
    total = len(archive.expected(manifest))
    for position, _ in enumerate(archive.verify(tar, manifest), 1):
        report("checking the archive", position, total)
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


def _require_room(database: Database, blobs: Blobs, replace: bool) -> None:
    try:
        used, foreign = _held(database)
    except StorageFailed:
        if not replace or database.kind == "postgresql":
            raise
        used, foreign = [], []  # a damaged file is what backups are for
    paths = blobs.paths()
    if (used or paths) and not replace:
        what = ", ".join([*used, *(["files"] if paths else [])])
        raise Conflict(
            f"the target is not empty (it has {what}); restore into a new one, or let it be replaced with --replace"
        )
    if foreign and database.kind == "sqlite":
        raise Conflict(
            f"{sqlite.file_of(database.url)} holds tables that are not ours ({', '.join(foreign[:5])}) and would be "
            "replaced whole; move them elsewhere first"
        )


def _held(database: Database) -> tuple[list[str], list[str]]:
    """Those of our tables that have rows, and the tables that are not ours."""
    with database.read() as connection:
        names = set(inspect(connection).get_table_names())
        revision = revision_of(connection)
        if revision is not None and not knows(revision):
            if database.kind == "postgresql":
                raise Misconfigured(
                    f"the database was written by a newer release (step {revision}), so nobody can say here which of its "
                    "tables are ours; restore into a new, empty database"
                )
            return sorted(names), []
        own = own_tables(revision)
        used = [table.name for table in tables_of(connection, own) if _count(connection, table)]
    return used, sorted(names - own)


@contextmanager
def _made_ready(
    tar: tarfile.TarFile, manifest: Manifest, database: Database, report: ProgressReport
) -> Iterator[Callable[[], None]]:
    """What puts the new tables in the old ones' place: on SQLite one rename of a file that is whole by then, on
    PostgreSQL one transaction that brings them in as well.
    """
    if database.kind == "postgresql":
        yield lambda: _fill(tar, manifest, database, report)
        return
    path = sqlite.file_of(database.url).resolve()  # a link stays one
    beside = path.with_name(path.name + BESIDE)
    _remove(beside)  # of a restore that was killed
    try:
        fresh = Database.open(URL.create("sqlite", database=str(beside)))
        try:
            with fresh.write() as connection:
                _build(tar, manifest, connection, report)
        finally:
            fresh.close()
        yield lambda: database.become(beside)
    finally:
        _remove(beside)


def _fill(tar: tarfile.TarFile, manifest: Manifest, database: Database, report: ProgressReport) -> None:
    with database.write() as connection:
        postgresql.lock_schema(connection)
        _drop_own(connection)
        _build(tar, manifest, connection, report)


def _drop_own(connection: Connection) -> None:
    own = own_tables(known_revision(connection))
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name in own)
    try:
        found.drop_all(connection)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != DEPENDED_ON:
            raise
        raise Conflict(f"something that is not ours depends on our tables, drop it first: {error.orig}") from None


def _build(tar: tarfile.TarFile, manifest: Manifest, connection: Connection, report: ProgressReport) -> None:
    """The tables as they were, filled and read back, then brought up to date."""
    try:
        upgrade(connection, manifest.revision)
    except ProgrammingError as error:
        raise Conflict(f"the database holds a table of another program under a name of ours: {error.orig}") from None
    tables = tables_of(connection, own_tables(manifest.revision))
    unknown = set(manifest.tables) - {table.name for table in tables}
    if unknown:
        raise BadRequest(f"the backup has tables this release does not know: {', '.join(sorted(unknown))}")
    for table in tables:
        if table.name in manifest.tables:
            _fill_table(tar, manifest, connection, table, report)
    build_derived(connection)
    _check_tables(manifest, connection, tables, report)
    report("bringing the tables up to date", 0, 0)
    upgrade(connection)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    sqlite.remove_beside(path)


def _fill_table(
    tar: tarfile.TarFile, manifest: Manifest, connection: Connection, table: Table, report: ProgressReport
) -> None:
    entry = manifest.tables[table.name]
    file = cast(IO[bytes], tar.extractfile(archive.table_member(table.name)))
    reader = LineReader(table, entry.columns)
    rows = (reader.row(line) for line in file)
    done = 0
    for batch in _batches(rows):
        try:
            connection.execute(table.insert(), batch)
        except (IntegrityError, DataError, ProgrammingError, OverflowError) as error:
            raise BadRequest(f"the backup's rows do not fit table {table.name}: {error}") from None
        done += len(batch)
        report(f"restoring {table.name}", done, entry.rows)


def _add_blobs(tar: tarfile.TarFile, manifest: Manifest, blobs: Blobs, report: ProgressReport) -> list[str]:
    """Bring the files whose names are free, which no row names yet; gives their paths."""
    there = set(blobs.paths())
    added: list[str] = []
    try:
        for position, path in enumerate(manifest.blobs, 1):
            if path not in there:
                added.append(path)
                _put_blob(tar, manifest, blobs, path)
            report("restoring files", position, len(manifest.blobs))
    except BaseException:
        for path in added:
            blobs.delete_path(path)
        raise
    return added


def _settle_blobs(tar: tarfile.TarFile, manifest: Manifest, blobs: Blobs) -> None:
    """Let other content go, now that no row names it; cut off in the middle, the same restore once more finishes it."""
    for path in blobs.paths():
        entry = manifest.blobs.get(path)
        if entry is None:
            blobs.delete_path(path)
        elif _sha256(blobs, path) != entry.sha256:
            _put_blob(tar, manifest, blobs, path)


def _put_blob(tar: tarfile.TarFile, manifest: Manifest, blobs: Blobs, path: str) -> None:
    stored = blobs.put_path(path, cast(IO[bytes], tar.extractfile(archive.blob_member(path))))
    if stored.sha256 != manifest.blobs[path].sha256:
        raise BadRequest(f"the file {path} arrived changed; check the disk and restore again")


def _sha256(blobs: Blobs, path: str) -> str:
    with blobs.open_path(path) as file:
        return archive.sha256_of(file)


def _check_tables(manifest: Manifest, connection: Connection, tables: list[Table], report: ProgressReport) -> None:
    """Read back what is now in the database and compare it with what the backup said."""
    named = {table.name: table for table in tables}
    for position, (name, entry) in enumerate(manifest.tables.items(), 1):
        content, rows = ContentHash(), 0
        for line in lines_of(connection, named[name], entry.columns):
            content.add(line)
            rows += 1
        if (rows, content.hexdigest()) != (entry.rows, entry.content):
            raise BadRequest(f"table {name} arrived changed ({rows} rows of {entry.rows}); restore again")
        report("reading back", position, len(manifest.tables))


def _batches(rows: Iterator[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    while batch := list(itertools.islice(rows, BATCH_ROWS)):
        yield batch


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
