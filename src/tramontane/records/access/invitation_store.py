"""The SQL of one-time links. Bound to a workspace, but for the statements that a presented secret starts.

Called inside a transaction by the verbs of this room; decides nothing.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    ForeignKeyConstraint,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    select,
    update,
)

from tramontane.foundation.store.scope import Scope
from tramontane.foundation.store.tables import metadata
from tramontane.records.access.nouns import Invitation, InvitationKind

invitation = Table(
    "invitation",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("workspace_id", Text, primary_key=True),
    Column("invitation_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("email", Text),
    Column("person_id", Text),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("created_by", Text),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger),
    Column("used_ns", BigInteger),
    Column("revoked_ns", BigInteger),
    UniqueConstraint("secret_sha256"),
    ForeignKeyConstraint(["organisation_id", "workspace_id"], ["workspace.organisation_id", "workspace.workspace_id"]),
)


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(invitation.insert(), dict(row))


def behind(connection: Connection, secret_sha256: bytes, now_ns: int) -> Invitation | None:
    """The open link of that secret."""
    return _one(connection, (invitation.c.secret_sha256 == secret_sha256, *_open(now_ns)))


def claim(connection: Connection, secret_sha256: bytes, now_ns: int) -> Invitation | None:
    """Use it up and give it; None when it is not open, or when somebody else was faster."""
    found = behind(connection, secret_sha256, now_ns)
    where = (invitation.c.secret_sha256 == secret_sha256, *_open(now_ns))
    claimed = connection.execute(update(invitation).where(*where).values(used_ns=now_ns)).rowcount
    return found if claimed == 1 else None


def pending(connection: Connection, scope: Scope, now_ns: int) -> list[Invitation]:
    """The open invitations of a workspace, oldest first; links for one's password are their person's own matter."""
    where = (*_inside(scope), invitation.c.kind == "invitation", *_open(now_ns))
    query = select(invitation).where(*where).order_by(invitation.c.created_ns)
    return [_invitation(row._asdict()) for row in connection.execute(query)]


def revoke(connection: Connection, scope: Scope, invitation_id: str, now_ns: int) -> int:
    """Gives 0 when the workspace has no open invitation of that id."""
    where = (
        *_inside(scope), invitation.c.invitation_id == invitation_id, invitation.c.kind == "invitation", *_open(now_ns)
    )  # fmt: skip
    return connection.execute(update(invitation).where(*where).values(revoked_ns=now_ns)).rowcount


def revoke_kind(
    connection: Connection, organisation_id: str, kind: InvitationKind, now_ns: int, *, person_id: str | None = None
) -> None:
    """End all open links of a kind, or only those made for one person."""
    where = (invitation.c.organisation_id == organisation_id, invitation.c.kind == kind, *_open(now_ns))
    if person_id is not None:
        where = (*where, invitation.c.person_id == person_id)
    connection.execute(update(invitation).where(*where).values(revoked_ns=now_ns))


def revoke_made_by(connection: Connection, scope: Scope, person_id: str, now_ns: int) -> None:
    """End all open links that a person made in the workspace."""
    where = (*_inside(scope), invitation.c.created_by == person_id, *_open(now_ns))
    connection.execute(update(invitation).where(*where).values(revoked_ns=now_ns))


def _one(connection: Connection, where: tuple[ColumnElement[bool], ...]) -> Invitation | None:
    row = connection.execute(select(invitation).where(*where)).one_or_none()
    return _invitation(row._asdict()) if row else None


def _invitation(row: Mapping[str, Any]) -> Invitation:
    return Invitation(**{name: row[name] for name in Invitation.__struct_fields__})


def _open(now_ns: int) -> tuple[ColumnElement[bool], ...]:
    alive = invitation.c.expires_ns.is_(None) | (invitation.c.expires_ns > now_ns)
    return (invitation.c.used_ns.is_(None), invitation.c.revoked_ns.is_(None), alive)


def _inside(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (
        invitation.c.organisation_id == scope.organisation_id,
        invitation.c.workspace_id == scope.workspace_id,
    )
