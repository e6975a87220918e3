"""Keeps SQLite's search index in step with the rows it is derived from; on PostgreSQL triggers do.

Our SQLite connections trust no schema, which keeps full-text tables out of triggers. The index holds no text of its own: to
forget a row it must be told the very words it knew.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, text

from tramontane.features.assistant import statements

_LEARN = {
    "conversation": text("INSERT INTO search_conversation (rowid, scope, words) VALUES (:number, :scope, :words)"),
    "conversation_entry": text("INSERT INTO search_entry (rowid, scope, words) VALUES (:number, :scope, :words)"),
}
_FORGET = {
    "conversation": text(
        "INSERT INTO search_conversation (search_conversation, rowid, scope, words) "
        "VALUES ('delete', :number, :scope, :words)"
    ),
    "conversation_entry": text(
        "INSERT INTO search_entry (search_entry, rowid, scope, words) VALUES ('delete', :number, :scope, :words)"
    ),
}
# Whoever counts already does it for us.
_COUNT = text("ANALYZE (SKIP_LOCKED) conversation, conversation_entry, search_conversation, search_entry")


def learn(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Rows were added; each has number, scope and words."""
    _tell(connection, _LEARN[table.name], rows)


def forget(connection: Connection, table: Table, place: Mapping[str, Any]) -> None:
    """Rows will go or change."""
    if connection.dialect.name == "sqlite":
        _tell(connection, _FORGET[table.name], _known(connection, table, place))


def learn_again(connection: Connection, table: Table, place: Mapping[str, Any]) -> None:
    """Rows have changed since `forget`."""
    if connection.dialect.name == "sqlite":
        learn(connection, table, _known(connection, table, place))


def count_rows(connection: Connection) -> None:
    """Many rows came at once: PostgreSQL's planner is told now, or it walks whole workspaces until its upkeep comes by."""
    if connection.dialect.name == "postgresql":
        connection.execute(_COUNT)


def _known(connection: Connection, table: Table, place: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row._asdict() for row in statements.look(connection, table, ("number", "scope", "words"), place)]


def _tell(connection: Connection, statement: Any, rows: Sequence[dict[str, Any]]) -> None:
    if connection.dialect.name != "sqlite":
        return
    told = [{"number": row["number"], "scope": row["scope"], "words": row["words"]} for row in rows]
    if told:
        connection.execute(statement, told)
