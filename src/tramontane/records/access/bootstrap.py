"""The first start: organisation and workspace `default`, the installation's secret, and a first key, made once.

Several processes may start at the same moment: one of them makes each thing, and one alone gets the key's secret.
"""

import secrets
from typing import NamedTuple

from sqlalchemy import Connection

from tramontane.foundation.clock import Clock
from tramontane.foundation.ids import new_id
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.errors import NoDatabase
from tramontane.foundation.store.insert import insert_new
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import store
from tramontane.records.access.nouns import RIGHTS, sorted_rights
from tramontane.records.access.secret import new_secret

DEFAULT = "default"
FIRST_KEY = "first"
SALT_NAME = "server"
SECRET_BYTES = 32


class FirstStart(NamedTuple):
    """Where an installation with one workspace works; `first_secret` only at the start that made the key.

    `server_secret` salts what must not be guessed from outside, such as the prefix cache's namespaces.
    """

    scope: Scope
    server_secret: bytes
    first_secret: str | None


def ensure_default(database: Database, clock: Clock, *, first_key: bool = True) -> FirstStart:
    """Make what is missing, in one transaction, and say where the default workspace is.

    `first_key` makes a key where the workspace never had one; who asks for it must show its secret.
    """
    with database.write() as connection:
        now_ns = clock.now_ns()
        scope = _default_scope(connection, now_ns)
        wanted = first_key and not store.keys_of(connection, scope)
        first_secret = _first_key(connection, scope, now_ns) if wanted else None
        return FirstStart(scope, _server_secret(connection, scope.organisation_id, now_ns), first_secret)


def default_scope(database: Database) -> Scope:
    """Where the default workspace is. Raises NoDatabase where nothing was ever started."""
    with database.read() as connection:
        organisation = store.organisation_called(connection, DEFAULT)
        workspaces = store.workspaces_of(connection, organisation.organisation_id) if organisation else []
    for found in workspaces:
        if found.name == DEFAULT:
            return found.scope
    raise NoDatabase("the database holds no workspace yet; `tramontane serve` makes it at its first start")


def _default_scope(connection: Connection, now_ns: int) -> Scope:
    row = {"organisation_id": new_id("org"), "name": DEFAULT, "created_ns": now_ns}
    insert_new(connection, store.organisation, [row])
    organisation = store.organisation_called(connection, DEFAULT)
    if organisation is None:
        raise AssertionError("an organisation just made is there")
    place = {"organisation_id": organisation.organisation_id, "workspace_id": new_id("ws"), "name": DEFAULT}
    insert_new(connection, store.workspace, [{**place, "weight": 1, "created_ns": now_ns}])
    workspaces = store.workspaces_of(connection, organisation.organisation_id)
    return next(found.scope for found in workspaces if found.name == DEFAULT)


def _first_key(connection: Connection, scope: Scope, now_ns: int) -> str:
    presented, secret = new_secret()
    row = {
        "organisation_id": scope.organisation_id,
        "workspace_id": scope.workspace_id,
        "key_id": presented.key_id,
        "name": FIRST_KEY,
        "secret_sha256": presented.sha256,
        "scopes": sorted_rights(RIGHTS),
        "created_ns": now_ns,
    }
    connection.execute(store.service_key.insert(), row)
    return secret


def _server_secret(connection: Connection, organisation_id: str, now_ns: int) -> bytes:
    value = secrets.token_bytes(SECRET_BYTES)
    row = {"organisation_id": organisation_id, "name": SALT_NAME, "value": value, "created_ns": now_ns}
    insert_new(connection, store.secret, [row])
    kept = store.secret_value(connection, organisation_id, SALT_NAME)
    return bytes(kept or value)
