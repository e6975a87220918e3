"""Knows who is behind a presented key: one constant refusal, a cache of two seconds at most, the database behind it.

Every door calls `caller_for` and reads the `Caller`, never a header. A key revoked anywhere stops here within the cache's
time. When each key was last used is collected in memory and written now and then, off the request's path.
"""

import asyncio
import hmac
import logging
from typing import NamedTuple

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import TramontaneError, Unauthenticated
from tramontane.foundation.nouns import Caller
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.errors import StorageBusy
from tramontane.records.access import store
from tramontane.records.access.secret import PresentedKey, read_secret

REFUSAL = "no valid key: send one as `Authorization: Bearer tm_...`; `tramontane key create NAME` makes one"
TTL_NS = 1_500_000_000
CAPACITY = 10_000
FIRST_LOOKUPS = 2
MAX_FIRST_WAITING = 256
USED_INTERVAL_S = 30.0

_log = logging.getLogger(__name__)


class _Known(NamedTuple):
    sha256: bytes
    caller: Caller
    revoked: bool
    expires_ns: int | None
    fresh_until_ns: int


class Callers:
    """From secrets to callers. One per gateway, used on its event loop."""

    def __init__(self, database: Database, clock: Clock, *, ttl_ns: int = TTL_NS) -> None:
        self._database = database
        self._clock = clock
        self._ttl_ns = ttl_ns
        self._known: dict[str, _Known] = {}
        self._loading: dict[str, asyncio.Task[_Known | None]] = {}
        self._first = asyncio.Semaphore(FIRST_LOOKUPS)
        self._first_waiting = 0
        self._used_ns: dict[str, int] = {}
        self._writing: asyncio.Task[None] | None = None

    async def caller_for(self, secret: str) -> Caller:
        """Who carries this secret. Raises Unauthenticated, with the same words for every reason, or a storage error."""
        presented = read_secret(secret)
        if presented is None:
            raise Unauthenticated(REFUSAL)
        known = self._known.get(presented.key_id)
        if known is None or self._clock.monotonic_ns() >= known.fresh_until_ns:
            known = await self._load(presented.key_id)
        now_ns = self._clock.now_ns()
        if known is None or not _admits(known, presented, now_ns):
            raise Unauthenticated(REFUSAL)
        self._used_ns[presented.key_id] = now_ns
        return known.caller

    def forget(self, key_id: str) -> None:
        """Look this key up anew at its next use; for a revocation made in this very process."""
        self._known.pop(key_id, None)

    def start(self) -> None:
        """Begin writing down now and then when keys were last used."""
        self._writing = asyncio.create_task(self._keep_writing(), name="keys' last use")

    async def close(self) -> None:
        """Stop, and write down what is left."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        await self.write_used()

    async def write_used(self) -> None:
        """Write when keys were last used; kept for the next time when the database cannot take it."""
        used, self._used_ns = self._used_ns, {}
        if not used:
            return
        try:
            await self._database.run_write(self._write_used, used)
        except TramontaneError as error:
            self._used_ns = {**used, **self._used_ns}
            _log.warning("when keys were last used is not written yet: %s", error.message)

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(USED_INTERVAL_S)
            try:
                await self.write_used()
            except Exception:
                _log.exception("when keys were last used could not be written")

    def _write_used(self, used_ns: dict[str, int]) -> None:
        with self._database.write() as connection:
            store.note_used(connection, used_ns)

    async def _load(self, key_id: str) -> _Known | None:
        """One look-up for all who ask for the same key at once; one caller's leaving does not end it for the others."""
        task = self._loading.get(key_id)
        if task is None:
            task = asyncio.create_task(self._look_up(key_id))
            self._loading[key_id] = task
            task.add_done_callback(lambda done: self._loaded(key_id, done))
        return await asyncio.shield(task)

    def _loaded(self, key_id: str, task: "asyncio.Task[_Known | None]") -> None:
        self._loading.pop(key_id, None)
        if not task.cancelled():
            task.exception()

    async def _look_up(self, key_id: str) -> _Known | None:
        """Keys never seen before wait in a short line of their own, so that guessing slows nobody who has a key."""
        if key_id in self._known:
            return await self._read(key_id)
        if self._first_waiting >= MAX_FIRST_WAITING:
            raise StorageBusy("too many unknown keys are being checked; try again in a moment", retry_after_s=1)
        self._first_waiting += 1
        try:
            async with self._first:
                return await self._read(key_id)
        finally:
            self._first_waiting -= 1

    async def _read(self, key_id: str) -> _Known | None:
        asked_ns = self._clock.monotonic_ns()
        known = await self._database.run(self._known_now, key_id, asked_ns + self._ttl_ns)
        self._known.pop(key_id, None)
        if known is not None:
            self._known[key_id] = known
            if len(self._known) > CAPACITY:
                self._known.pop(next(iter(self._known)))
        return known

    def _known_now(self, key_id: str, fresh_until_ns: int) -> _Known | None:
        with self._database.read() as connection:
            row = store.presented_key(connection, key_id)
        if row is None:
            return None
        caller = Caller(
            organisation_id=row["organisation_id"],
            workspace_id=row["workspace_id"],
            principal_id=key_id,
            key_id=key_id,
            roles=frozenset(row["scopes"].split()),
            weight=row["weight"],
            requests_per_minute=row["requests_per_minute"],
            tokens_per_minute=row["tokens_per_minute"],
        )
        revoked = row["revoked_ns"] is not None
        return _Known(bytes(row["secret_sha256"]), caller, revoked, row["expires_ns"], fresh_until_ns)


def _admits(known: _Known, presented: PresentedKey, now_ns: int) -> bool:
    matches = hmac.compare_digest(known.sha256, presented.sha256)
    return matches and not known.revoked and (known.expires_ns is None or now_ns < known.expires_ns)
