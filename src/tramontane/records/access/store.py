"""The SQL of who. Every statement is bound to an organisation or a workspace, but for the one that a presented key starts.

Called inside a transaction by the verbs of this room; decides nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKeyConstraint,
    LargeBinary,
    Row,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    select,
    update,
)

from tramontane.foundation.store.scope import Scope
from tramontane.foundation.store.tables import metadata
from tramontane.records.access.nouns import KeyRecord, Organisation, Person, Workspace

organisation = Table(
    "organisation",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("name"),
)
workspace = Table(
    "workspace",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("workspace_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("weight", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    UniqueConstraint("organisation_id", "name", name="uq_workspace_organisation_id_name"),
    UniqueConstraint("workspace_id"),
    ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
)
person = Table(
    "person",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("created_ns", BigInteger, nullable=False),
    Column("language", Text),
    Column("theme", Text),
    UniqueConstraint("organisation_id", "email", name="uq_person_organisation_id_email"),
    ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
)
membership = Table(
    "membership",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("workspace_id", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    ForeignKeyConstraint(["organisation_id", "workspace_id"], ["workspace.organisation_id", "workspace.workspace_id"]),
    ForeignKeyConstraint(["organisation_id", "person_id"], ["person.organisation_id", "person.person_id"]),
)
service_key = Table(
    "service_key",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("workspace_id", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger),
    Column("revoked_ns", BigInteger),
    Column("last_used_ns", BigInteger),
    Column("created_by", Text),
    Column("models", Text),
    UniqueConstraint("key_id"),
    ForeignKeyConstraint(["organisation_id", "workspace_id"], ["workspace.organisation_id", "workspace.workspace_id"]),
)
secret = Table(
    "secret",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"]),
)

_PRESENTED = (
    select(service_key, workspace.c.weight, membership.c.role.label("maker_role"))
    .select_from(service_key)
    .join(workspace)
    .outerjoin(
        membership,
        (membership.c.organisation_id == service_key.c.organisation_id)
        & (membership.c.workspace_id == service_key.c.workspace_id)
        & (membership.c.person_id == service_key.c.created_by),
    )
    .where(service_key.c.key_id == bindparam("key_id"))
)
_USED = (
    update(service_key)
    .where(service_key.c.key_id == bindparam("used_key_id"))
    .where(func.coalesce(service_key.c.last_used_ns, 0) < bindparam("used_ns"))
    .values(last_used_ns=bindparam("used_ns"))
)


def organisation_called(connection: Connection, name_or_id: str) -> Organisation | None:
    columns = organisation.c
    where = (columns.name == name_or_id) | (columns.organisation_id == name_or_id)
    row = connection.execute(select(organisation).where(where)).first()
    return Organisation(**row._mapping) if row else None


def workspaces_of(connection: Connection, organisation_id: str) -> list[Workspace]:
    query = select(workspace).where(workspace.c.organisation_id == organisation_id).order_by(workspace.c.name)
    return [Workspace(**row._mapping) for row in connection.execute(query)]


def lock_workspace(connection: Connection, scope: Scope) -> Workspace | None:
    """The workspace's row, held against others until this transaction ends."""
    query = select(workspace).where(*_inside(workspace, scope)).with_for_update()
    row = connection.execute(query).one_or_none()
    return Workspace(**row._mapping) if row else None


def set_weight(connection: Connection, scope: Scope, weight: int) -> int:
    """Set a workspace's weight; gives 0 when there is no such workspace."""
    return connection.execute(update(workspace).where(*_inside(workspace, scope)).values(weight=weight)).rowcount


def person_of(connection: Connection, organisation_id: str, person_id: str) -> Person | None:
    query = select(person).where(person.c.organisation_id == organisation_id, person.c.person_id == person_id)
    row = connection.execute(query).one_or_none()
    return Person(**row._mapping) if row else None


def members_of(connection: Connection, scope: Scope) -> Sequence[Row[Any]]:
    """Each person of the workspace with the role held there."""
    query = select(person, membership.c.role).join(membership).where(*_inside(membership, scope))
    return connection.execute(query.order_by(person.c.name)).all()


def keys_of(connection: Connection, scope: Scope) -> list[KeyRecord]:
    query = select(service_key).where(*_inside(service_key, scope)).order_by(service_key.c.created_ns)
    return [key_record(row._asdict()) for row in connection.execute(query)]


def change_key(connection: Connection, scope: Scope, key_id: str, values: Mapping[str, int | None]) -> int:
    """Set columns of one key of this workspace; gives 0 when it has none of that id."""
    where = (*_inside(service_key, scope), service_key.c.key_id == key_id)
    return connection.execute(update(service_key).where(*where).values(**values)).rowcount


def presented_key(connection: Connection, key_id: str) -> Mapping[str, Any] | None:
    """The one look-up that starts without a scope: it is how a caller gets theirs. With the role of whoever made it."""
    row = connection.execute(_PRESENTED, {"key_id": key_id}).one_or_none()
    return row._asdict() if row else None


def note_used(connection: Connection, used_ns: Mapping[str, int]) -> None:
    """Move each key's last use forward, never back."""
    rows = [{"used_key_id": key_id, "used_ns": time_ns} for key_id, time_ns in sorted(used_ns.items())]
    if rows:
        connection.execute(_USED, rows)


def secret_value(connection: Connection, organisation_id: str, name: str) -> bytes | None:
    query = select(secret.c.value).where(secret.c.organisation_id == organisation_id, secret.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def key_record(values: Mapping[str, Any]) -> KeyRecord:
    """A row without its hash."""
    fields = {name: values[name] for name in KeyRecord.__struct_fields__ if name not in ("rights", "models")}
    lists = {"rights": values["scopes"].split(), "models": models_of(values)}
    return msgspec.convert({**fields, **lists}, KeyRecord)


def models_of(values: Mapping[str, Any]) -> frozenset[str] | None:
    """The models a key's row limits it to; no model's name holds a space."""
    return None if values["models"] is None else frozenset(values["models"].split())


def _inside(table: Table, scope: Scope) -> tuple[Any, ...]:
    return (table.c.organisation_id == scope.organisation_id, table.c.workspace_id == scope.workspace_id)
