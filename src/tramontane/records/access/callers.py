"""Knows who is behind a presented key: one constant refusal, a cache of two seconds at most, the database behind it.

Only whoever holds the whole secret of an expired key is told so, and when: anybody else learns nothing.

Every door calls `caller_for` and reads the `Caller`, never a header. A key revoked anywhere stops here within the cache's
time. When each key was last used is collected in memory and written now and then, off the request's path.
"""

import datetime
import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Unauthenticated
from tramontane.foundation.nouns import Caller
from tramontane.foundation.store.database import Database
from tramontane.records.access import store
from tramontane.records.access.last_use import LastUse
from tramontane.records.access.lookups import TTL_NS, Lookups
from tramontane.records.access.nouns import roles_of
from tramontane.records.access.secret import PresentedKey, read_secret

SECOND_NS = 1_000_000_000
REFUSAL = "no valid key: send one as `Authorization: Bearer tm_...`; `tramontane key create NAME` makes one"


class _Known(NamedTuple):
    sha256: bytes
    caller: Caller
    revoked: bool
    expires_ns: int | None


class Callers:
    """From secrets to callers. One per gateway, used on its event loop."""

    def __init__(self, database: Database, clock: Clock, *, ttl_ns: int = TTL_NS) -> None:
        self._database = database
        self._clock = clock
        self._lookups: Lookups[str, _Known] = Lookups(
            database, clock, lambda key_id: self._known_now(key_id), ttl_ns=ttl_ns
        )
        self._last_use = LastUse(database, store.note_used, "keys")

    async def caller_for(self, secret: str) -> Caller:
        """Who carries this secret. Raises Unauthenticated, with the same words for all but an expired key, or a storage error."""
        presented = read_secret(secret)
        known = None if presented is None else await self._lookups.get(presented.key_id)
        now_ns = self._clock.now_ns()
        if presented is None or known is None or not _admits(known, presented):
            raise Unauthenticated(REFUSAL)
        if known.expires_ns is not None and now_ns >= known.expires_ns:
            raise _expired(known.expires_ns)
        self._last_use.note(presented.key_id, now_ns)
        return known.caller

    def forget(self, key_id: str) -> None:
        """Look this key up anew at its next use; for a revocation made in this very process."""
        self._lookups.forget(key_id)

    def start(self) -> None:
        """Begin writing down now and then when keys were last used."""
        self._last_use.start()

    async def close(self) -> None:
        """Stop, and write down what is left."""
        await self._last_use.close()

    def _known_now(self, key_id: str) -> _Known | None:
        with self._database.read() as connection:
            row = store.presented_key(connection, key_id)
        if row is None:
            return None
        caller = Caller(
            organisation_id=row["organisation_id"],
            workspace_id=row["workspace_id"],
            principal_id=key_id,
            key_id=key_id,
            person_id=row["created_by"],
            roles=_rights(row),
            weight=row["weight"],
            requests_per_minute=row["requests_per_minute"],
            tokens_per_minute=row["tokens_per_minute"],
            models=store.models_of(row),
        )
        # Made in the moment its maker was removed, a key may have missed being revoked.
        ended = row["revoked_ns"] is not None or (caller.person_id is not None and row["maker_role"] is None)
        return _Known(bytes(row["secret_sha256"]), caller, ended, row["expires_ns"])


def _rights(row: Mapping[str, Any]) -> frozenset[str]:
    """Those of the key that whoever made it still has."""
    rights = frozenset(row["scopes"].split())
    return rights if row["created_by"] is None or row["maker_role"] is None else rights & roles_of(row["maker_role"])


def _admits(known: _Known, presented: PresentedKey) -> bool:
    return hmac.compare_digest(known.sha256, presented.sha256) and not known.revoked


def _expired(expires_ns: int) -> Unauthenticated:
    ended = datetime.datetime.fromtimestamp(expires_ns // SECOND_NS, datetime.UTC).isoformat(" ", "minutes")
    return Unauthenticated(
        f"this key expired on {ended.removesuffix('+00:00')} UTC; make a new one with `tramontane key create NAME` or in "
        "the studio",
        code="key_expired",
    )
