"""Which tables hold nothing of their own: search indexes over rows that are kept elsewhere, known by their names' beginning.

A backup leaves them out. On PostgreSQL triggers fill them as the rows come back, on SQLite they are built anew afterwards.
What PostgreSQL's planner knows of the rows is derived as well.
"""

from sqlalchemy import Connection, inspect, text

from tramontane.foundation.store.schema import known_revision, own_tables

PREFIX = "search_"


def is_derived(name: str) -> bool:
    return name.startswith(PREFIX)


def drop_derived(connection: Connection) -> None:
    """Drop SQLite's: the parts of such an index cannot be dropped one by one."""
    for name in _indexes(connection):
        connection.execute(text(f'DROP TABLE "{name}"'))


def build_derived(connection: Connection) -> None:
    """Build SQLite's anew from the rows they stand on; have PostgreSQL count, which its own upkeep does a minute late."""
    if connection.dialect.name == "postgresql":
        for name in own_tables(known_revision(connection)) & set(inspect(connection).get_table_names()):
            connection.execute(text(f'ANALYZE "{name}"'))
    for name in _indexes(connection):
        connection.execute(text(f'INSERT INTO "{name}" ("{name}") VALUES (\'rebuild\')'))  # noqa: S608


def _indexes(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'"
    return [name for name in connection.execute(text(query)).scalars() if is_derived(name)]
