"""Statements over equal columns, each put together once: that takes longer than a database needs to run one.

A place is a mapping of column names to the values they must equal, as `{"workspace_id": ..., "conversation_id": ...}`. Knows no
table; called by those files of this room that write rows.
"""

import functools
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, CursorResult, Table, bindparam, delete, select, update

AT = "at_"  # a place's values beside values of the same columns


def at(place: Mapping[str, Any]) -> dict[str, Any]:
    """A place's values, as `equal` asks for them."""
    return {AT + name: value for name, value in place.items()}


def equal(table: Table, names: tuple[str, ...]) -> list[Any]:
    """That the columns of those names are what `at` says."""
    return [table.c[name] == bindparam(AT + name) for name in names]


def look(connection: Connection, table: Table, columns: tuple[str, ...], place: Mapping[str, Any]) -> CursorResult[Any]:
    """These columns of the rows at a place."""
    return connection.execute(_select(table, columns, tuple(place)), at(place))


def change(connection: Connection, table: Table, place: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """Set columns of the rows at a place; gives how many rows there were."""
    return connection.execute(_update(table, tuple(place)), {**at(place), **values}).rowcount


def remove(connection: Connection, table: Table, place: Mapping[str, Any]) -> None:
    connection.execute(_delete(table, tuple(place)), at(place))


@functools.cache
def _select(table: Table, columns: tuple[str, ...], names: tuple[str, ...]) -> Any:
    return select(*(table.c[name] for name in columns)).where(*equal(table, names))


@functools.cache
def _update(table: Table, names: tuple[str, ...]) -> Any:
    return update(table).where(*equal(table, names))


@functools.cache
def _delete(table: Table, names: tuple[str, ...]) -> Any:
    return delete(table).where(*equal(table, names))
