"""Creating, listing, ending service keys. Blocking: asynchronous callers go through the database's lanes.

A secret exists in the answer of `create` and nowhere else. A key of another workspace is not found, as if it did not exist.
"""

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Conflict, InvalidFields, NotFound
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import store
from tramontane.records.access.fields import check_key, checked_name
from tramontane.records.access.nouns import KeyRecord, NewKey, sorted_rights
from tramontane.records.access.secret import new_secret


class Keys:
    """The service keys of every workspace, one workspace at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, scope: Scope, wanted: NewKey, *, created_by: str | None = None) -> tuple[KeyRecord, str]:
        """A new key and its secret; one that a person made acts as theirs and ends when they leave the workspace.

        Raises InvalidFields, NotFound for the workspace, Conflict for a name in use.
        """
        now_ns = self._clock.now_ns()
        check_key(wanted, now_ns)
        name = checked_name("name", wanted.name)
        presented, secret = new_secret()
        row = {
            "organisation_id": scope.organisation_id,
            "workspace_id": scope.workspace_id,
            "key_id": presented.key_id,
            "name": name,
            "secret_sha256": presented.sha256,
            "scopes": sorted_rights(wanted.rights),
            "requests_per_minute": wanted.requests_per_minute,
            "tokens_per_minute": wanted.tokens_per_minute,
            "created_ns": now_ns,
            "expires_ns": wanted.expires_ns,
            "revoked_ns": None,
            "last_used_ns": None,
            "created_by": created_by,
            "models": None if wanted.models is None else " ".join(sorted(wanted.models)),
        }
        with self._database.write() as connection:
            if store.lock_workspace(connection, scope) is None:
                raise NotFound(f"no workspace {scope.workspace_id}", param="workspace")
            if any(key.name == name and key.live(now_ns) for key in store.keys_of(connection, scope)):
                raise Conflict(f"a key named {name} exists; revoke it or choose another name", param="name")
            connection.execute(store.service_key.insert(), row)
        return store.key_record(row), secret

    def list(self, scope: Scope) -> list[KeyRecord]:
        """Every key of the workspace, ended ones too, oldest first."""
        with self._database.read() as connection:
            return store.keys_of(connection, scope)

    def find(self, scope: Scope, name_or_id: str) -> KeyRecord:
        """The key of that id, else the newest live one of that name. Raises NotFound."""
        now_ns = self._clock.now_ns()
        keys = self.list(scope)
        for key in reversed(keys):
            if name_or_id in (key.key_id, key.shown) or (key.name == name_or_id and key.live(now_ns)):
                return key
        raise NotFound(f"no key {name_or_id[:100]!r} in this workspace; `tramontane key list` shows them", param="key")

    def revoke(self, scope: Scope, key_id: str) -> KeyRecord:
        """End the key for ever; a second time changes nothing. Raises NotFound."""
        with self._database.write() as connection:
            found = [key for key in store.keys_of(connection, scope) if key.key_id == key_id]
            if not found:
                raise _no_key(key_id)
            if found[0].revoked_ns is None:
                store.change_key(connection, scope, key_id, {"revoked_ns": self._clock.now_ns()})
        return self.find(scope, key_id)

    def expire(self, scope: Scope, key_id: str, expires_ns: int | None) -> KeyRecord:
        """Set when the key ends; None: never. What has ended stays so, since people rely on it and its name is free.

        Raises NotFound, Conflict for a key that has ended, InvalidFields for the past (revoke it instead).
        """
        now_ns = self._clock.now_ns()
        with self._database.write() as connection:
            if store.lock_workspace(connection, scope) is None:
                raise _no_key(key_id)
            found = [key for key in store.keys_of(connection, scope) if key.key_id == key_id]
            if not found:
                raise _no_key(key_id)
            if not found[0].live(now_ns):
                raise Conflict("this key has ended for good; make a new one", code="key_ended")
            if expires_ns is not None and expires_ns <= now_ns:
                raise InvalidFields.of("expires", "expires must lie in the future; to end a key now, revoke it")
            store.change_key(connection, scope, key_id, {"expires_ns": expires_ns})
        return self.find(scope, key_id)


def _no_key(key_id: str) -> NotFound:
    return NotFound(f"no key {key_id[:100]!r} in this workspace", param="key")
