"""How much each owner keeps: a count of bytes that goes along with every write, and what is refused beyond the limit.

Counted is what people and models wrote, in UTF-8, without what is derived from it. Who writes rows counts them: `store` for
conversations and entries, `documents` and `projects` for theirs. The count's row is taken after the conversation's, so that
two of one owner never wait for each other crosswise; an import, which takes many conversations, takes it before them all.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import Connection, LargeBinary, Table, bindparam, cast, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from tramontane.features.assistant import statements
from tramontane.features.assistant.nouns import Owner
from tramontane.features.assistant.tables import conversation, document_version, entry, kept_bytes, project, shortcut
from tramontane.foundation.errors import Conflict

COUNTED: dict[Table, tuple[str, ...]] = {
    conversation: ("name", "description", "instructions", "tools", "completion_args", "metadata"),
    entry: ("body",),
    document_version: ("content",),
    project: ("name", "instructions"),
    shortcut: ("name", "text"),
}
FULL = "history_full"
_OWNER = ("organisation_id", "workspace_id", "owner_id")
_GROWTH = "assistant.quota.growth"


def _more(insert: Any) -> Any:
    """Built once per kind of database: putting a statement together takes longer than running it."""
    new = insert(kept_bytes).values({name: bindparam(name) for name in (*_OWNER, "bytes")})
    return new.on_conflict_do_update(index_elements=_OWNER, set_={"bytes": kept_bytes.c.bytes + new.excluded.bytes})


_COUNT = {"sqlite": _more(sqlite.insert), "postgresql": _more(postgresql.insert)}


class Growth:
    """What one piece of work adds to what its owner keeps, or, below nought, takes away."""

    def __init__(self) -> None:
        self.size_bytes = 0


@contextmanager
def watched(connection: Connection) -> Iterator[Growth]:
    """The growth that is counted on this connection meanwhile: others of the same owner write beside it."""
    connection.info[_GROWTH] = growth = Growth()
    try:
        yield growth
    finally:
        del connection.info[_GROWTH]


def count(connection: Connection, owner: Owner, size_bytes: int) -> None:
    """Count what was written, or, below nought, what was taken away."""
    if _GROWTH in connection.info:
        connection.info[_GROWTH].size_bytes += size_bytes
    connection.execute(_COUNT[connection.dialect.name], {**msgspec.structs.asdict(owner), "bytes": size_bytes})


def used(connection: Connection, owner: Owner) -> int:
    place = msgspec.structs.asdict(owner)
    return int(statements.look(connection, kept_bytes, ("bytes",), place).scalar_one_or_none() or 0)


def full(most_bytes: int) -> Conflict:
    message = (
        f"your conversations hold as much as one person may keep here ({most_bytes} bytes, files included); delete "
        "some of them, exported first where they are still needed, or ask with store: false"
    )
    return Conflict(message, code=FULL)


def weight(table: Table, rows: Iterable[Mapping[str, Any]]) -> int:
    """Of rows as they are written."""
    return sum(len((row.get(name) or "").encode()) for row in rows for name in COUNTED[table])


def weighed(connection: Connection, table: Table, place: Mapping[str, Any]) -> int:
    """Of the rows at a place, which nobody else changes until the transaction ends."""
    query = _weigh(table, tuple(place), connection.dialect.name)
    return sum(connection.execute(query, statements.at(place)).scalars())


def removed(connection: Connection, table: Table, place: Mapping[str, Any]) -> int:
    """What the rows at a place weighed, which are gone now."""
    statement = _remove(table, tuple(place), connection.dialect.name)
    return sum(connection.execute(statement, statements.at(place)).scalars())


@functools.cache
def _weigh(table: Table, names: tuple[str, ...], kind: str) -> Any:
    return select(_size_of(table, kind)).where(*statements.equal(table, names)).with_for_update()


@functools.cache
def _remove(table: Table, names: tuple[str, ...], kind: str) -> Any:
    return delete(table).where(*statements.equal(table, names)).returning(_size_of(table, kind))


def _size_of(table: Table, kind: str) -> Any:
    """A row's counted columns together. SQLite's own function for the bytes of a text is younger than the versions in use."""

    def size(column: Any) -> Any:
        return func.length(cast(column, LargeBinary)) if kind == "sqlite" else func.octet_length(column)

    first, *more = (func.coalesce(size(table.c[name]), 0) for name in COUNTED[table])
    return sum(more, start=first)
