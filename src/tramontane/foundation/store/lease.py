"""Who may use a store: many at once, or one alone who replaces it. Held by whoever has it open to write.

A lock on a file in the data folder, on one beside a SQLite file that lies elsewhere, and on PostgreSQL a lock of a session.
All end with the process that holds them, however it ends.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Connection, text

from tramontane.foundation.store import sqlite
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.disk import translated
from tramontane.foundation.store.errors import StorageFailed, StoreInUse

LOCK_FILE = "in-use.lock"
USE_LOCK = 0x7472616E  # beside the number that those who migrate meet on


class Lease:
    """The right to use a store. On PostgreSQL it ends with its connection, so a server keeps it up with `keep`."""

    def __init__(self, database: Database, alone: bool) -> None:
        self._database = database
        self._alone = alone
        self._session = ExitStack()
        self._connection: Connection | None = None

    def take(self) -> None:
        """Raises StoreInUse, or a storage error."""
        if self._database.kind == "sqlite":
            return
        self._connection = self._session.enter_context(self._database.apart())
        function = "pg_try_advisory_lock" if self._alone else "pg_try_advisory_lock_shared"
        if not self._ask(f"SELECT {function}({USE_LOCK})"):
            self.release()
            raise _in_use("the database", self._alone)

    def keep(self) -> None:
        """See that it is still held, and take it again after the database was away. Raises as `take`."""
        try:
            if self._connection is not None:
                self._ask("SELECT 1")
                return
        except StorageFailed:
            self.release()
        self.take()

    def release(self) -> None:
        """Give it up; a second time does nothing."""
        self._connection = None
        self._session.close()

    def _ask(self, question: str) -> object:
        assert self._connection is not None
        with self._database.translated():
            return self._connection.execute(text(question)).scalar_one()


@contextmanager
def leased(database: Database, home: Path, *, alone: bool = False) -> Iterator[Lease]:
    """Use the store of this data folder, `alone` to replace it. Raises StoreInUse saying what to end first."""
    folders = {home}
    if database.kind == "sqlite":
        folders.add(sqlite.file_of(database.url).absolute().parent)
    with ExitStack() as held:
        for folder in sorted(folders):
            held.enter_context(_folder(folder, alone))
        lease = Lease(database, alone)
        held.callback(lease.release)
        lease.take()
        yield lease


@contextmanager
def _folder(folder: Path, alone: bool) -> Iterator[None]:
    with translated():
        lock = os.open(folder / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _in_use(str(folder), alone) from None
        yield
    finally:
        os.close(lock)


def _in_use(what: str, alone: bool) -> StoreInUse:
    if alone:
        return StoreInUse(f"{what} is in use; stop the server and other commands that work on it, then try again")
    return StoreInUse(f"{what} is being restored; try again when that is done")
