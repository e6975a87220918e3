"""The SQL of browsers' sessions. Every statement is bound to an organisation, but for the one that a presented token starts.

Called inside a transaction by the verbs of this room; decides nothing.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    select,
    update,
)

from tramontane.foundation.store.tables import metadata
from tramontane.records.access.nouns import Session
from tramontane.records.access.store import membership, person, workspace

web_session = Table(
    "web_session",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("session_id", Text, primary_key=True),
    Column("person_id", Text, nullable=False),
    Column("workspace_id", Text, nullable=False),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("agent", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("seen_ns", BigInteger, nullable=False),
    UniqueConstraint("token_sha256"),
    ForeignKeyConstraint(["organisation_id", "person_id"], ["person.organisation_id", "person.person_id"]),
    Index("ix_web_session_organisation_id_person_id", "organisation_id", "person_id"),
)

_PRESENTED = (
    select(
        web_session.c.organisation_id,
        web_session.c.session_id,
        web_session.c.created_ns,
        web_session.c.seen_ns,
        *(person.c[name].label(f"person_{name}") for name in ("person_id", "name", "email", "language", "theme")),
        person.c.created_ns.label("person_created_ns"),
        *(workspace.c[name].label(f"workspace_{name}") for name in ("workspace_id", "name", "weight", "created_ns")),
        membership.c.role,
    )
    .join(
        person,
        (person.c.organisation_id == web_session.c.organisation_id) & (person.c.person_id == web_session.c.person_id),
    )
    .outerjoin(
        membership,
        (membership.c.organisation_id == web_session.c.organisation_id)
        & (membership.c.workspace_id == web_session.c.workspace_id)
        & (membership.c.person_id == web_session.c.person_id),
    )
    .outerjoin(
        workspace,
        (workspace.c.organisation_id == membership.c.organisation_id)
        & (workspace.c.workspace_id == membership.c.workspace_id),
    )
    .where(web_session.c.token_sha256 == bindparam("token_sha256"))
)
_SEEN = (
    update(web_session)
    .where(web_session.c.session_id == bindparam("seen_id"), web_session.c.seen_ns < bindparam("time_ns"))
    .values(seen_ns=bindparam("time_ns"))
)


def presented(connection: Connection, token_sha256: bytes) -> Mapping[str, Any] | None:
    """Session, person and place in one row; `role` is None where the person has left the session's workspace."""
    row = connection.execute(_PRESENTED, {"token_sha256": token_sha256}).one_or_none()
    return row._asdict() if row else None


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(web_session.insert(), dict(row))


def sessions_of(connection: Connection, organisation_id: str, person_id: str) -> list[Session]:
    """The newest use first."""
    query = select(web_session).where(*_of(organisation_id, person_id)).order_by(web_session.c.seen_ns.desc())
    names = Session.__struct_fields__
    return [Session(**{name: row._mapping[name] for name in names}) for row in connection.execute(query)]


def last_place(connection: Connection, organisation_id: str, person_id: str) -> str | None:
    """The workspace of the session used last."""
    query = select(web_session.c.workspace_id).where(*_of(organisation_id, person_id))
    return connection.execute(query.order_by(web_session.c.seen_ns.desc()).limit(1)).scalar_one_or_none()


def last_seen(connection: Connection, organisation_id: str) -> dict[str, int]:
    """When each person of the organisation last used a browser that is still signed in."""
    query = (
        select(web_session.c.person_id, func.max(web_session.c.seen_ns))
        .where(web_session.c.organisation_id == organisation_id)
        .group_by(web_session.c.person_id)
    )
    return {person_id: seen_ns for person_id, seen_ns in connection.execute(query)}


def move(connection: Connection, organisation_id: str, session_id: str, workspace_id: str) -> None:
    where = (web_session.c.organisation_id == organisation_id, web_session.c.session_id == session_id)
    connection.execute(update(web_session).where(*where).values(workspace_id=workspace_id))


def end(connection: Connection, organisation_id: str, person_id: str, session_id: str) -> int:
    """Gives 0 when this person has no such session."""
    where = (*_of(organisation_id, person_id), web_session.c.session_id == session_id)
    return connection.execute(delete(web_session).where(*where)).rowcount


def end_all(connection: Connection, organisation_id: str, person_id: str, *, but: str | None = None) -> None:
    where = _of(organisation_id, person_id)
    if but is not None:
        where = (*where, web_session.c.session_id != but)
    connection.execute(delete(web_session).where(*where))


def end_overdue(connection: Connection, seen_before_ns: int, created_before_ns: int) -> None:
    """Drop the rows of sessions past either limit, everywhere."""
    overdue = (web_session.c.seen_ns <= seen_before_ns) | (web_session.c.created_ns <= created_before_ns)
    connection.execute(delete(web_session).where(overdue))


def note_seen(connection: Connection, seen_ns: Mapping[str, int]) -> None:
    """Move each session's last use forward, never back."""
    rows = [{"seen_id": session_id, "time_ns": time_ns} for session_id, time_ns in sorted(seen_ns.items())]
    if rows:
        connection.execute(_SEEN, rows)


def _of(organisation_id: str, person_id: str) -> tuple[Any, ...]:
    return (web_session.c.organisation_id == organisation_id, web_session.c.person_id == person_id)
