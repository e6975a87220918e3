"""Collects when keys or sessions were last used and writes it now and then, off the request's path."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from tramontane.foundation.errors import TramontaneError
from tramontane.foundation.store.database import Database

INTERVAL_S = 30.0
log = logging.getLogger(__name__)


class LastUse:
    """`write(connection, {id: nanoseconds})` moves each one's last use forward. `what` names them in the log."""

    def __init__(self, database: Database, write: Callable[[Connection, Mapping[str, int]], None], what: str) -> None:
        self._database = database
        self._write = write
        self._what = what
        self._used_ns: dict[str, int] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, used_id: str, now_ns: int) -> None:
        self._used_ns[used_id] = now_ns

    def noted(self, used_id: str) -> int:
        """When it was used, as far as it is not written yet; 0 for not at all."""
        return self._used_ns.get(used_id, 0)

    def start(self) -> None:
        """Begin writing now and then."""
        self._writing = asyncio.create_task(self._keep_writing(), name=f"{self._what}: last use")

    async def close(self) -> None:
        """Stop, and write down what is left."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        await self.write()

    async def write(self) -> None:
        """Write what was noted; kept for the next time when the database cannot take it."""
        used = dict(self._used_ns)
        if not used:
            return
        try:
            await self._database.run_write(self._write_now, used)
        except TramontaneError as error:
            log.warning("when %s were last used is not written yet: %s", self._what, error.message)
            return
        for used_id, time_ns in used.items():
            if self._used_ns.get(used_id) == time_ns:
                del self._used_ns[used_id]

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await self.write()
            except Exception:
                log.exception("when %s were last used could not be written", self._what)

    def _write_now(self, used_ns: dict[str, int]) -> None:
        with self._database.write() as connection:
            self._write(connection, used_ns)
