"""Inserting rows that may already be there, alike on both databases: the row that came earlier stays."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, literal
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert those rows whose key is not taken yet; gives how many were new."""
    if not rows:
        return 0
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).on_conflict_do_nothing().returning(literal(1))
    return len(connection.execute(statement, list(rows)).all())
