"""Knows how a PostgreSQL database is opened so that a commit is on its disk and nobody waits for ever on a lock.

Called by the store's own files, and by whoever writes what the next write makes good.
"""

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text

LOCK_TIMEOUT_MS = 5000
CONNECT_TIMEOUT_S = 5
SCHEMA_LOCK = 0x7472616D  # one number per installation's schema; any two gateways that migrate meet on it


def open_engine(url: URL, *, connections: int) -> Engine:
    """An engine over psycopg 3; broken connections are replaced when they are next taken."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "tramontane"},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=LOCK_TIMEOUT_MS / 1000,
        pool_pre_ping=True,
    )
    event.listen(engine, "connect", _prepare)
    return engine


def lock_schema(connection: Connection) -> None:
    """Hold the right to change tables until this transaction ends, however long another process takes over its steps."""
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA_LOCK})


def commit_without_waiting(connection: Connection) -> None:
    """Let this transaction's commit reach the disk within a second after it; nothing on SQLite.

    For what is soon written again: should the database's machine fail before, it finds the state of the write before.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL synchronous_commit = off"))


def _prepare(connection: Any, record: object) -> None:
    before = connection.autocommit
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{LOCK_TIMEOUT_MS}ms",))
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', '60s', false)")
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.autocommit = before
