"""The SQL of people beside keys: their passwords and their places in workspaces. Bound to an organisation everywhere.

Called inside a transaction by the verbs of this room; decides nothing.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKeyConstraint,
    Table,
    Text,
    delete,
    exists,
    func,
    select,
    update,
)

from tramontane.foundation.store.scope import Scope
from tramontane.foundation.store.tables import metadata
from tramontane.records.access.nouns import Person, Role, Workspace
from tramontane.records.access.store import membership, person, service_key, workspace

password = Table(
    "password",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed_ns", BigInteger, nullable=False),
    ForeignKeyConstraint(["organisation_id", "person_id"], ["person.organisation_id", "person.person_id"]),
)


def person_with_email(connection: Connection, organisation_id: str, email: str) -> Person | None:
    query = select(person).where(person.c.organisation_id == organisation_id, person.c.email == email)
    row = connection.execute(query).one_or_none()
    return Person(**row._mapping) if row else None


def change_person(connection: Connection, organisation_id: str, person_id: str, values: Mapping[str, Any]) -> None:
    where = (person.c.organisation_id == organisation_id, person.c.person_id == person_id)
    connection.execute(update(person).where(*where).values(**values))


def password_of(connection: Connection, organisation_id: str, person_id: str, *, hold: bool = False) -> str | None:
    """The hash; with `hold` nobody sets another before the transaction ends."""
    where = (password.c.organisation_id == organisation_id, password.c.person_id == person_id)
    query = select(password.c.hash).where(*where)
    return connection.execute(query.with_for_update(read=True) if hold else query).scalar_one_or_none()


def set_password(connection: Connection, organisation_id: str, person_id: str, hashed: str, now_ns: int) -> None:
    where = (password.c.organisation_id == organisation_id, password.c.person_id == person_id)
    connection.execute(delete(password).where(*where))
    row = {"organisation_id": organisation_id, "person_id": person_id, "hash": hashed, "changed_ns": now_ns}
    connection.execute(password.insert(), row)


def replace_password(connection: Connection, organisation_id: str, person_id: str, old: str, new: str) -> int:
    """The same password under newer parameters; gives 0 when another was set meanwhile."""
    where = (password.c.organisation_id == organisation_id, password.c.person_id == person_id, password.c.hash == old)
    return connection.execute(update(password).where(*where).values(hash=new)).rowcount


def any_password(connection: Connection, organisation_id: str) -> bool:
    """Whether anybody of the organisation can sign in."""
    query = select(exists().where(password.c.organisation_id == organisation_id))
    return bool(connection.execute(query).scalar_one())


def places_of(connection: Connection, organisation_id: str, person_id: str) -> list[tuple[Workspace, Role]]:
    """The workspaces of one person with the role held in each, the first joined first."""
    query = (
        select(workspace, membership.c.role)
        .join(membership)
        .where(membership.c.organisation_id == organisation_id, membership.c.person_id == person_id)
        .order_by(membership.c.created_ns, workspace.c.name)
    )
    return [
        (Workspace(**{name: row._mapping[name] for name in Workspace.__struct_fields__}), row.role)
        for row in connection.execute(query)
    ]


def role_of(connection: Connection, scope: Scope, person_id: str) -> Role | None:
    query = select(membership.c.role).where(*_place(scope, person_id))
    role: Role | None = connection.execute(query).scalar_one_or_none()
    return role


def joined(connection: Connection, scope: Scope) -> dict[str, int]:
    """When each person of the workspace joined it."""
    query = select(membership.c.person_id, membership.c.created_ns).where(*_inside(membership, scope))
    return {person_id: created_ns for person_id, created_ns in connection.execute(query)}


def add_member(connection: Connection, scope: Scope, person_id: str, role: Role, now_ns: int) -> None:
    place = {"organisation_id": scope.organisation_id, "workspace_id": scope.workspace_id}
    connection.execute(membership.insert(), {**place, "person_id": person_id, "role": role, "created_ns": now_ns})


def set_role(connection: Connection, scope: Scope, person_id: str, role: Role) -> None:
    connection.execute(update(membership).where(*_place(scope, person_id)).values(role=role))


def remove_member(connection: Connection, scope: Scope, person_id: str) -> None:
    connection.execute(delete(membership).where(*_place(scope, person_id)))


def administrators(connection: Connection, scope: Scope) -> int:
    """How many administrators of the workspace can sign in."""
    query = (
        select(func.count())
        .select_from(membership)
        .join(
            password,
            (password.c.organisation_id == membership.c.organisation_id)
            & (password.c.person_id == membership.c.person_id),
        )
        .where(*_inside(membership, scope), membership.c.role == "administrator")
    )
    return int(connection.execute(query).scalar_one())


def revoke_keys_of(connection: Connection, scope: Scope, person_id: str, now_ns: int) -> list[str]:
    """End the live keys this person made in the workspace; gives their names."""
    mine = (*_inside(service_key, scope), service_key.c.created_by == person_id, service_key.c.revoked_ns.is_(None))
    names = list(connection.execute(select(service_key.c.name).where(*mine).order_by(service_key.c.name)).scalars())
    connection.execute(update(service_key).where(*mine).values(revoked_ns=now_ns))
    return names


def _inside(table: Table, scope: Scope) -> tuple[Any, ...]:
    return (table.c.organisation_id == scope.organisation_id, table.c.workspace_id == scope.workspace_id)


def _place(scope: Scope, person_id: str) -> tuple[Any, ...]:
    return (*_inside(membership, scope), membership.c.person_id == person_id)
