"""Keeps exactly one receipt per request, and keeps the request from waiting for it.

`post` writes to the spool (some microseconds) and returns; one task moves batches into the database. While that takes none,
memory holds so many and the spool all of them. What a killed process left in its spool is settled at the next start. The
engine posts; the composition root starts and closes it.
"""

import asyncio
import itertools
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from tramontane.foundation.errors import Overloaded, TramontaneError
from tramontane.foundation.store.database import Database
from tramontane.records.ledger import store
from tramontane.records.ledger.frames import Entry, entries, settled
from tramontane.records.ledger.nouns import Receipt
from tramontane.records.ledger.spool import Spool

INTERVAL_S = 0.5
BATCH_ROWS = 1000
CAPACITY = 10_000
RETRY_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Closed:
    """A file of the spool that is written no more, and how many of its receipts are in no memory."""

    path: Path
    spilled: int


class ReceiptBook:
    """Receipts on their way to the database, handed in as `Receipt.read` takes them. One per gateway, on its event loop."""

    def __init__(
        self, database: Database, spool_folder: Path, *, interval_s: float = INTERVAL_S, capacity: int = CAPACITY
    ) -> None:
        self._database = database
        self._spool = Spool(spool_folder)
        self._interval_s = interval_s
        self._capacity = capacity
        self._pending: list[Receipt] = []
        self._open: dict[tuple[str, str, str], Receipt] = {}
        self._closed: list[_Closed] = []
        self._spilled = 0  # of the file being written
        self._written = False  # whether that file has a receipt
        self._wake = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._trouble = ""
        self.lost = 0

    async def start(self) -> int:
        """Settle what dead processes left, then begin writing batches; gives how many receipts were recovered."""
        recovered = await self._database.run_write(self._recover)
        self._task = asyncio.create_task(self._keep_flushing(), name="receipts")
        return recovered

    def begin(self, receipt: msgspec.Struct) -> None:
        """Note that a request was let in, so that a receipt `interrupted` stands for it if this process is killed."""
        entry = Entry("begun", Receipt.read(receipt))
        self._open[entry.receipt.identity] = entry.receipt
        self._append(entry)

    def post(self, receipt: msgspec.Struct) -> None:
        """Keep what a request cost; a second receipt for the same request changes nothing. Never waits."""
        entry = Entry("over", Receipt.read(receipt))
        self._open.pop(entry.receipt.identity, None)
        spooled = self._append(entry)
        self._written = self._written or spooled
        if len(self._pending) < 2 * self._capacity:
            self._pending.append(entry.receipt)
            if len(self._pending) == 1 or len(self._pending) % BATCH_ROWS == 0:
                self._wake.set()
        elif spooled:
            self._spilled += 1
        else:
            self.lost += 1
            _log.error("a receipt is lost, neither disk nor database takes it: %s", entry.receipt)

    def ensure_room(self) -> None:
        """Raises Overloaded while receipts pile up, so that no work is begun that cannot be accounted for."""
        if self.waiting >= self._capacity:
            raise Overloaded(
                f"requests cannot be accounted for at the moment ({self._trouble or 'the database is behind'})",
                retry_after_s=5,
                code="storage_busy",
            )

    @property
    def waiting(self) -> int:
        """Receipts that are not in the database yet."""
        return len(self._pending) + self._spilled + sum(file.spilled for file in self._closed)

    async def flush(self) -> None:
        """Bring everything posted so far into the database. Raises a storage error, then all of it stays here."""
        async with self._flushing:
            if not self.waiting:
                return
            self._begin_file()
            batch, closed = self._pending[:], self._closed[:]
            await self._database.run_write(self._add, batch)
            del self._pending[: len(batch)]
            for file in closed:
                if file.spilled:
                    await self._database.run_write(self._feed, file.path)
                self._closed.remove(file)
                self._spool.drop([file.path])
            self._trouble = ""

    async def close(self) -> None:
        """Write what waits, then stop; what the database refuses stays in the spool for the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self.flush()
        except TramontaneError as error:
            _log.error("%d receipts stay in the spool until the next start: %s", self.waiting, error.message)
        self._spool.close()

    def _append(self, entry: Entry) -> bool:
        try:
            self._spool.append(entry)
        except OSError as error:
            self._trouble = f"the receipts' disk refuses: {error.strerror}"
            _log.error("%s", self._trouble)
            return False
        return True

    async def _keep_flushing(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if len(self._pending) < BATCH_ROWS:
                await asyncio.sleep(self._interval_s)
            try:
                await self.flush()
            except TramontaneError as error:
                self._trouble = error.message
                _log.warning("receipts wait for the database: %s", error.message)
                await asyncio.sleep(RETRY_S)
            except Exception:
                self._trouble = "the ledger has a fault; the operator finds it in the log"
                _log.exception("receipts wait in the spool")
                await asyncio.sleep(RETRY_S)
            if self.waiting:
                self._wake.set()

    def _begin_file(self) -> None:
        """Let the files so far hold exactly what waits; on a full disk the last one simply goes on."""
        if not self._written:
            return
        try:
            path = self._spool.rotate(Entry("begun", receipt) for receipt in self._open.values())
        except OSError as error:
            _log.warning("the receipts' spool goes on in the same file: %s", error.strerror)
            return
        self._closed.append(_Closed(path, self._spilled))
        self._spilled, self._written = 0, False

    def _feed(self, path: Path) -> None:
        """Bring what a file of the spool holds into the database, where those that memory had too already are."""
        with path.open("rb") as file:
            self._add_all(entry.receipt for entry in entries(file) if entry.kind == "over")

    def _add_all(self, receipts: Iterable[Receipt]) -> int:
        """Add any number, holding a batch of them at a time."""
        left, added = iter(receipts), 0
        while batch := list(itertools.islice(left, BATCH_ROWS)):
            self._add(batch)
            added += len(batch)
        return added

    def _add(self, receipts: list[Receipt]) -> None:
        try:
            with self._database.write() as connection:
                for start in range(0, len(receipts), BATCH_ROWS):
                    store.add(connection, receipts[start : start + BATCH_ROWS])
        except SQLAlchemyError:
            _log.exception("a batch of receipts was refused; trying them one by one")
            self._add_singly(receipts)

    def _add_singly(self, receipts: list[Receipt]) -> None:
        for receipt in receipts:
            try:
                with self._database.write() as connection:
                    store.add(connection, [receipt])
            except SQLAlchemyError:
                _log.exception("the receipt of request %s cannot be stored: %s", receipt.request_id, receipt)

    def _recover(self) -> int:
        recovered = 0
        for orphan in self._spool.orphans():
            try:
                recovered += self._add_all(settled(orphan.entries()))
            except BaseException:
                orphan.release()
                raise
            orphan.remove()
        return recovered
