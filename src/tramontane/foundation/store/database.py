"""The one way to the database, SQLite or PostgreSQL: `read()` and `write()` transactions, and lanes off the event loop.

Knows connections, turns and failures; knows no table. What a `write()` block returned from is on the disk. Every room's
`store.py` calls it; the composition root opens and closes it.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, exc, make_url, text

from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.store import disk, failures, postgresql, sqlite
from tramontane.foundation.store.errors import StorageBusy, StorageFailed
from tramontane.foundation.store.lanes import Lane

_log = logging.getLogger(__name__)
Kind = Literal["sqlite", "postgresql"]
Result = TypeVar("Result")
READERS = 4
WRITERS = {"sqlite": 1, "postgresql": 4}
SPARE = 2  # connections for calls from threads that are not ours, such as the command line
MAX_WAITING = 512


class Database:
    """One open database. Safe to share between threads; `read` and `write` block, `run` and `run_write` do not."""

    def __init__(self, url: URL, kind: Kind, engine: Engine) -> None:
        self.url = url
        self.kind: Kind = kind
        self._engine = engine
        self._writer = threading.Lock()
        self._unsafe = ""
        self._readers = Lane("read", threads=READERS, max_waiting=MAX_WAITING)
        self._writers = Lane("write", threads=WRITERS[kind], max_waiting=MAX_WAITING)

    @classmethod
    def open(cls, address: str | URL, *, looking: bool = False) -> "Database":
        """Open `sqlite:///path` or `postgresql://user@host/name`. Raises Misconfigured naming what is wrong with it.

        `looking` makes no SQLite file and writes to none; whether there is one says `missing`.
        """
        try:
            url = make_url(address)
        except exc.ArgumentError:
            raise Misconfigured("database_url: not an address; write sqlite:///path or postgresql://...") from None
        backend = url.get_backend_name()
        connections = READERS + SPARE
        if backend == "sqlite":
            opening = sqlite.open_looking if looking else sqlite.open_engine
            return cls(url, "sqlite", opening(url, connections=connections + WRITERS["sqlite"]))
        if backend in ("postgresql", "postgres"):
            engine = postgresql.open_engine(url, connections=connections + WRITERS["postgresql"])
            return cls(url, "postgresql", engine)
        raise Misconfigured(f"database_url: {backend} is not supported; write sqlite:///path or postgresql://...")

    @property
    def unsafe(self) -> str:
        """Why writing has stopped for good, or empty. The gateway must then end with a failure and be restarted."""
        return self._unsafe

    @property
    def missing(self) -> bool:
        """Whether the SQLite file is not there yet."""
        return self.kind == "sqlite" and not sqlite.file_of(self.url).exists()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only looks. Raises StorageBusy or StorageFailed."""
        with self.translated(), self._engine.connect() as plain:
            connection = plain if self.kind == "sqlite" else plain.execution_options(postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction that sees one moment from its first look to its last; on SQLite writers wait for its end."""
        with self.translated(), self._engine.connect() as plain:
            options = {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
            connection = plain if self.kind == "sqlite" else plain.execution_options(**options)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that changes. Once the block is left without an error the change is on the disk, unless the block
        asked not to wait for it (`postgresql.commit_without_waiting`).

        Raises StorageFull, StorageBusy or StorageFailed when nothing was changed, OutcomeUnknown when nobody can say.
        """
        with self._turn(), self.translated(), self._engine.connect() as plain:
            connection = plain.execution_options(**{sqlite.WRITES: True})
            transaction = connection.begin()
            try:
                yield connection
            except BaseException:
                with suppress(exc.DBAPIError):
                    transaction.rollback()
                raise
            with self.translated(committing=True):
                try:
                    transaction.commit()
                except exc.DBAPIError:
                    connection.invalidate()
                    raise

    async def run(self, work: Callable[..., Result], *args: object) -> Result:
        """Call blocking `work(*args)`, which looks things up, on a reading thread."""
        return await self._readers.run(work, *args)

    async def run_write(self, work: Callable[..., Result], *args: object) -> Result:
        """Call blocking `work(*args)`, which writes, on a writing thread, so that readers never stand behind writers."""
        return await self._writers.run(work, *args)

    def copy_to(self, target: Path) -> None:
        """A consistent copy of a SQLite database in a new file of its owner's, while others write."""
        target.touch(mode=0o600)
        with self.translated():
            sqlite.copy_file(sqlite.file_of(self.url), target)

    def become(self, fresh: Path) -> None:
        """Let a complete SQLite file, closed, take the place of this one: whole or not at all.

        Nobody else may use either meanwhile. Raises StoreInUse when a stranger does.
        """
        self._engine.dispose()
        with disk.translated():
            sqlite.replace_file(fresh, sqlite.file_of(self.url).resolve())
        self._unsafe = ""

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        """A connection of one's own, outside any transaction and outside the pool, for what a session holds."""
        with self.translated():
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()
        try:
            yield connection
        finally:
            with suppress(*failures.DRIVER_ERRORS):
                connection.close()

    def check(self) -> list[str]:
        """What is wrong with the store, in words; empty when it is sound."""
        with self.read() as connection:
            if self.kind == "sqlite":
                return sqlite.quick_check(connection)
            connection.execute(text("SELECT 1"))
            return []

    def close(self) -> None:
        """Finish what runs and let go of every connection."""
        self._readers.close()
        self._writers.close()
        self._engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite has one writer: threads of this process queue here, other processes on the file's lock."""
        if self._unsafe:
            raise StorageFailed(
                f"writing has stopped: {self._unsafe}; restart after checking the disk", retry_after_s=60
            )
        if self.kind != "sqlite":
            yield
            return
        if not self._writer.acquire(timeout=sqlite.BUSY_TIMEOUT_MS / 1000):
            raise StorageBusy(failures.BUSY, retry_after_s=2)
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def translated(self, *, committing: bool = False) -> Iterator[None]:
        """What the driver raises inside leaves as an error of our tree."""
        try:
            yield
        except failures.DRIVER_ERRORS as error:
            if failures.is_unsafe(error):
                self._unsafe = str(getattr(error, "orig", error))
            ours = failures.translate(error, committing=committing)
            if ours is None:
                raise
            _log.warning("%s: %s", ours.code, getattr(error, "orig", error))
            raise ours from error
