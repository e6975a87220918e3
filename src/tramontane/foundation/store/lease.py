"""Who may use a store: many at once, or one alone who replaces it, for whom servers make way when asked.

Three locks, each on a file in the data folder, on one beside a SQLite file that lies elsewhere, and on PostgreSQL as a
lock of a session: in use, wanted, being restored. All end with the process that holds them, however it ends.
"""

import fcntl
import os
import pwd
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.store import sqlite
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.disk import translated
from tramontane.foundation.store.errors import StorageFailed, StoreInUse

LOOK_AGAIN_S = 0.1
ASKING_S = 5.0
"""How long to try to say that the store is wanted: whoever looks whether it is holds that lock for a moment."""


@dataclass(frozen=True)
class _Lock:
    file: str
    number: int  # PostgreSQL's; beside the one that those who migrate meet on


USE = _Lock("in-use.lock", 0x7472616E)
WANT = _Lock("wanted.lock", 0x7472616F)
RESTORE = _Lock("restoring.lock", 0x74726170)


class Lease:
    """The right to use a store. On PostgreSQL it ends with its connection, so a server keeps it up with `keep`."""

    def __init__(self, database: Database, lock: _Lock, alone: bool) -> None:
        self._database = database
        self._lock = lock
        self._alone = alone
        self._session = ExitStack()
        self._connection: Connection | None = None

    def take(self) -> None:
        """Raises StoreInUse, or a storage error."""
        if self._database.kind == "sqlite":
            return
        self._connection = self._session.enter_context(self._database.apart())
        function = "pg_try_advisory_lock" if self._alone else "pg_try_advisory_lock_shared"
        if not self._ask(f"SELECT {function}({self._lock.number})"):
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
def leased(database: Database, home: Path) -> Iterator[Lease]:
    """Use the store of this data folder beside others. Raises StoreInUse while it is being restored."""
    with _held(database, home, USE, alone=False) as lease:
        yield lease


def is_wanted(database: Database, home: Path) -> bool:
    """Whether somebody asks for the store alone. Raises a storage error."""
    try:
        with ExitStack() as held:
            for folder in _folders(database, home):
                held.enter_context(_file(folder, WANT, alone=False))
    except StoreInUse:
        return True
    if database.kind == "sqlite":
        return False
    with database.read() as connection:
        # A lock of the transaction, so that looking leaves nothing behind.
        question = text(f"SELECT pg_try_advisory_xact_lock_shared({WANT.number})")
        return not connection.execute(question).scalar_one()


@contextmanager
def restoring(database: Database, home: Path) -> Iterator[None]:
    """Be the only one who restores into this store. Raises StoreInUse."""
    try:
        held = ExitStack()
        held.enter_context(_held(database, home, RESTORE, alone=True))
    except StoreInUse:
        raise StoreInUse("another restore into this store is under way; let it end, then try again") from None
    with held:
        yield


@contextmanager
def taken_over(database: Database, home: Path, patience_s: float, report: ProgressReport) -> Iterator[None]:
    """Use the store alone, after asking the servers on it to make way. They come back when this ends.

    Raises StoreInUse when somebody still uses it after `patience_s`: a server with requests that do not end, or another
    command, which is not asked to stop.
    """
    with ExitStack() as held:
        held.enter_context(_soon(lambda: _held(database, home, WANT, alone=True), ASKING_S, None))
        waiting = "waiting until servers and commands let go of the store"
        held.enter_context(
            _soon(lambda: _held(database, home, USE, alone=True), patience_s, lambda: report(waiting, 0, 0))
        )
        yield


def _soon(
    take: Callable[[], AbstractContextManager[Lease]], patience_s: float, waiting: Callable[[], None] | None
) -> AbstractContextManager[object]:
    """What `take` gives, entered as soon as it can be. Raises its StoreInUse when that takes longer than `patience_s`."""
    end = time.monotonic() + patience_s
    while True:
        held = ExitStack()
        try:
            held.enter_context(take())
            return held
        except StoreInUse:
            if time.monotonic() >= end:
                raise
        if waiting is not None:
            waiting()
        time.sleep(LOOK_AGAIN_S)


@contextmanager
def _held(database: Database, home: Path, lock: _Lock, alone: bool) -> Iterator[Lease]:
    with ExitStack() as held:
        for folder in _folders(database, home):
            _require_own(folder)
            held.enter_context(_file(folder, lock, alone))
        lease = Lease(database, lock, alone)
        held.callback(lease.release)
        lease.take()
        yield lease


def _folders(database: Database, home: Path) -> list[Path]:
    """Where the files lie, always in the same order, so that two who want both never wait for each other.

    By their true names: one folder under two would be locked twice, and refused to whoever wants it alone.
    """
    folders = {home.resolve()}
    if database.kind == "sqlite":
        folders.add(sqlite.file_of(database.url).resolve().parent)
    return sorted(folders)


@contextmanager
def _file(folder: Path, lock: _Lock, alone: bool) -> Iterator[None]:
    with translated():
        file = os.open(folder / lock.file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _in_use(str(folder), alone) from None
        yield
    finally:
        os.close(file)


def _require_own(folder: Path) -> None:
    """Root may open any file, but what it makes beside those of another user's server is closed to that server.

    Others are let in by the files' own modes, and what a volume calls its owner need not be who writes on it.
    """
    if os.geteuid() != 0:
        return
    for lock in (USE, WANT, RESTORE):
        try:
            owner = (folder / lock.file).stat().st_uid
        except FileNotFoundError:
            continue
        if owner != 0:
            raise Misconfigured(
                f"the data in {folder} belongs to the user {_name_of(owner)}, whose server could not open what another "
                f"user writes there; run this as that user (sudo -u '{_name_of(owner)}' tramontane ...), or make the "
                "whole folder your own (chown -R)"
            )


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"#{user}"  # as sudo takes it


def _in_use(what: str, alone: bool) -> StoreInUse:
    if alone:
        return StoreInUse(f"{what} is in use; end the commands that work on it, or stop the server, then try again")
    return StoreInUse(f"{what} is being restored; try again when that is done")
