"""Which tables hold nothing of their own: search indexes over rows that are kept elsewhere, known by their names' beginning.

A backup leaves them out. On PostgreSQL triggers fill them as the rows come back, on SQLite they are built anew afterwards.
"""

from sqlalchemy import Connection, text

PREFIX = "search_"


def is_derived(name: str) -> bool:
    return name.startswith(PREFIX)


def drop_derived(connection: Connection) -> None:
    """Drop SQLite's: the parts of such an index cannot be dropped one by one."""
    for name in _indexes(connection):
        connection.execute(text(f'DROP TABLE "{name}"'))


def build_derived(connection: Connection) -> None:
    """Build SQLite's anew from the rows they stand on."""
    for name in _indexes(connection):
        connection.execute(text(f'INSERT INTO "{name}" ("{name}") VALUES (\'rebuild\')'))  # noqa: S608


def _indexes(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'"
    return [name for name in connection.execute(text(query)).scalars() if is_derived(name)]
