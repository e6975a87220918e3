"""Knows how a SQLite file is opened so that no acknowledged write is lost, and how a consistent copy is taken.

WAL is used only where the linked library is free of the WAL-reset corruption; elsewhere the rollback journal, truncated and
synced at each commit, serves. Called by `database` and `backup` alone.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event

from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.store.disk import flush
from tramontane.foundation.store.errors import StoreInUse

WRITES = "tramontane_writes"
BUSY_TIMEOUT_MS = 5000
COPY_PAGES = 2000
MAX_RESTARTS = 3
BESIDE = ("-wal", "-journal", "-shm")


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite has the WAL-reset fix: 3.51.3 and newer, or the backports 3.50.7 and 3.44.6."""
    if version >= (3, 51, 3):
        return True
    return (version[:2] == (3, 50) and version[2] >= 7) or (version[:2] == (3, 44) and version[2] >= 6)


def open_engine(url: URL, *, connections: int) -> Engine:
    """An engine on one file, which is created readable by its owner only. Raises Misconfigured for a path in the air."""
    path = file_of(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError as error:
        raise Misconfigured(
            f"database_url: cannot create {path}: {error.strerror}; choose a writable folder"
        ) from error
    engine = _engine(url, connections)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def open_looking(url: URL, *, connections: int) -> Engine:
    """An engine that makes no file and writes nothing; one that is not there is found out at the first look."""
    # SQLite makes a missing file unless the address is in this form and says that it must not.
    address = url.set(database=f"file:{quote(str(file_of(url)))}").update_query_dict({"mode": "rw", "uri": "true"})
    engine = _engine(address, connections)
    event.listen(engine, "connect", _prepare_looking)
    event.listen(engine, "begin", _begin)
    return engine


def _engine(url: URL, connections: int) -> Engine:
    return create_engine(
        url,
        hide_parameters=True,
        connect_args={
            "timeout": BUSY_TIMEOUT_MS / 1000,
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": 256,
        },
        pool_size=connections,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
    )


def file_of(url: URL) -> Path:
    """The file a SQLite URL names. Raises Misconfigured for a database in memory, which would forget everything."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise Misconfigured("database_url: SQLite needs a file, as in sqlite:////var/lib/tramontane/tramontane.db")
    return Path(url.database)


def copy_file(source: Path, target: Path) -> None:
    """A consistent copy of a live database by SQLite's own online backup.

    Writers of other connections make it start over; after three such restarts it copies in one go, during which they wait.
    """
    smallest, restarts = -1, 0

    def watch(status: int, remaining: int, total: int) -> None:
        nonlocal smallest, restarts
        restarts += smallest >= 0 and remaining > smallest
        smallest = remaining
        if restarts > MAX_RESTARTS:
            raise _TooManyRestarts

    reading = sqlite3.connect(source, timeout=BUSY_TIMEOUT_MS / 1000)
    writing = sqlite3.connect(target)
    try:
        try:
            reading.backup(writing, pages=COPY_PAGES, progress=watch, sleep=0.001)
        except _TooManyRestarts:
            reading.backup(writing, pages=-1)
    finally:
        writing.close()
        reading.close()


def replace_file(fresh: Path, path: Path) -> None:
    """Let one closed database file take another's place. Raises StoreInUse when a stranger has the old one open.

    What lies beside the old file is settled before: a journal found beside the new one would be played into it.
    """
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        raise StoreInUse(f"{path} is held by another program ({error}); close it and try again") from None
    except sqlite3.DatabaseError:
        remove_beside(path)  # damaged: nothing in it can be settled any more
    if any(_beside(path, end).exists() and _beside(path, end).stat().st_size for end in BESIDE[:2]):
        raise StoreInUse(f"{path} is open in another program; close it and try again")
    flush(fresh)
    fresh.replace(path)
    remove_beside(fresh)
    remove_beside(path)
    flush(path.parent)


def remove_beside(path: Path) -> None:
    """Remove the journals of a file that is gone or of no use."""
    for end in BESIDE:
        _beside(path, end).unlink(missing_ok=True)


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def quick_check(connection: Connection) -> list[str]:
    """What SQLite finds wrong with the file; empty when it is sound."""
    rows = connection.exec_driver_sql("PRAGMA quick_check").scalars().all()
    return [str(row) for row in rows if row != "ok"]


class _TooManyRestarts(Exception):
    pass


def _prepare(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    try:
        mode = "WAL" if wal_is_safe(sqlite3.sqlite_version_info) else "TRUNCATE"
        cursor.execute(f"PRAGMA journal_mode={mode}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA fullfsync=1")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA trusted_schema=OFF")
        cursor.execute("PRAGMA temp_store=MEMORY")
    finally:
        cursor.close()


def _prepare_looking(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA query_only=ON")
        cursor.execute("PRAGMA trusted_schema=OFF")
        cursor.execute("PRAGMA temp_store=MEMORY")
    finally:
        cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
