"""How much each person keeps: a count of bytes that goes along with every write, and what is refused beyond the limit.

Counted are entries and documents as they are kept, in UTF-8, without what is derived from them. The count's row is the last
that a transaction takes, so that two of one person never wait for each other crosswise. Decides nothing about turns.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, LargeBinary, bindparam, case, cast, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tramontane.features.assistant import store
from tramontane.features.assistant.nouns import Owner
from tramontane.features.assistant.tables import document, document_version, entry, kept_bytes
from tramontane.foundation.errors import Conflict

_OWNER = ("organisation_id", "workspace_id", "owner_id")
_MINE = [kept_bytes.c[name] == bindparam(f"of_{name}") for name in _OWNER]


def _more(insert: Any) -> Any:
    """Built once per kind of database: putting a statement together takes longer than running it."""
    new = insert(kept_bytes).values({name: bindparam(name) for name in (*_OWNER, "bytes")})
    grown = {"bytes": kept_bytes.c.bytes + new.excluded.bytes}
    return new.on_conflict_do_update(index_elements=_OWNER, set_=grown).returning(kept_bytes.c.bytes)


_GROW = {"sqlite": _more(sqlite.insert), "postgresql": _more(postgresql.insert)}
_LESS = update(kept_bytes).where(*_MINE).values(
    # Answers that a crash cut short were never counted, and are when they are taken away.
    bytes=case((kept_bytes.c.bytes > bindparam("size"), kept_bytes.c.bytes - bindparam("size")), else_=0)
)  # fmt: skip
_HELD = select(kept_bytes.c.bytes).where(*_MINE)


def grow(connection: Connection, owner: Owner, size_bytes: int) -> int:
    """Count what was written; gives what there is now."""
    values = {**msgspec.structs.asdict(owner), "bytes": size_bytes}
    return int(connection.execute(_GROW[connection.dialect.name], values).scalar_one())


def shrink(connection: Connection, owner: Owner, size_bytes: int) -> None:
    """Count what was taken away."""
    connection.execute(_LESS, {**_of(owner), "size": size_bytes})


def held(connection: Connection, owner: Owner) -> int:
    return int(connection.execute(_HELD, _of(owner)).scalar_one_or_none() or 0)


def check(total_bytes: int, most_bytes: int | None) -> None:
    """Raises Conflict (history_full) beyond the limit; None is no limit."""
    if most_bytes is not None and total_bytes > most_bytes:
        message = (
            f"your conversations hold as much as one person may keep here ({most_bytes} bytes, files included); delete "
            "some of them, exported first where they are still needed, or ask with store: false"
        )
        raise Conflict(message, code="history_full")


def weight(bodies: Iterable[Mapping[str, Any]]) -> int:
    """Of entries, as they are kept."""
    return sum(len(msgspec.json.encode(body)) for body in bodies)


def measured(connection: Connection, owner: Owner, conversation_id: str) -> int:
    """Of one conversation with its documents, read from the rows themselves."""
    here = (*store.inside(entry, owner), entry.c.conversation_id == conversation_id)
    bodies = select(func.sum(_bytes(entry.c.body, connection))).where(*here)
    there = (*store.inside(document, owner), document.c.conversation_id == conversation_id)
    ids = list(connection.execute(select(document.c.document_id).where(*there)).scalars())
    return int(connection.execute(bodies).scalar_one() or 0) + sum(
        measured_document(connection, owner, document_id) for document_id in ids
    )


def measured_document(connection: Connection, owner: Owner, document_id: str) -> int:
    """Of all its versions."""
    where = (*store.inside(document_version, owner), document_version.c.document_id == document_id)
    query = select(func.sum(_bytes(document_version.c.content, connection))).where(*where)
    return int(connection.execute(query).scalar_one() or 0)


def remove(connection: Connection, owner: Owner, conversation_id: str) -> None:
    """A conversation with everything on it, taken out of the count."""
    size_bytes = measured(connection, owner, conversation_id)
    store.remove(connection, owner, conversation_id)
    shrink(connection, owner, size_bytes)


def _bytes(column: Any, connection: Connection) -> Any:
    """A text column's length: SQLite's own function for bytes is younger than the versions in use."""
    sqlite_ = connection.dialect.name == "sqlite"
    return func.length(cast(column, LargeBinary)) if sqlite_ else func.octet_length(column)


def _of(owner: Owner) -> dict[str, str]:
    return {f"of_{name}": value for name, value in msgspec.structs.asdict(owner).items()}
