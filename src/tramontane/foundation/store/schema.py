"""Knows which steps bring a database's tables up to date and takes them, each in a transaction of its own.

One linear history under `migrations/versions`. Called at start-up and before a restore. A database written by a newer
release is refused, never guessed at.
"""

import functools
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect

from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.store import postgresql, sqlite
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.errors import NoDatabase

FOLDER = Path(__file__).parent / "migrations"


def migrate(database: Database, report: ProgressReport, *, target: str = "head") -> int:
    """Take every missing step, telling `report(stage, done, total)`; gives how many were taken.

    A SQLite file that already holds something is first copied beside itself. Safe when several processes start at once.
    Raises Misconfigured when the database is newer than this release.
    """
    script = ScriptDirectory(str(FOLDER))
    pending = _pending(database, script, target)
    if pending and current_revision(database) is not None:
        _keep_copy(database, pending[0])
    taken = 0
    for position, revision in enumerate(pending):
        report("migrating the database", position, len(pending))
        taken += _step(database, script, revision)
    if pending:
        report("migrating the database", len(pending), len(pending))
    return taken


def upgrade(connection: Connection, target: str = "head") -> None:
    """Take the missing steps up to `target` inside the transaction that is open on this connection."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def require_current(database: Database) -> None:
    """For those who only look. Raises NoDatabase, or Misconfigured saying what brings it up to date."""
    current = None if database.missing else current_revision(database)
    if current is None:
        raise NoDatabase(
            "there is no database yet; `tramontane serve` makes it, and so does `tramontane key create NAME`"
        )
    _refuse_newer(current)
    if current != head_revision():
        raise Misconfigured(
            f"the database is at step {current} and this release needs step {head_revision()}; `tramontane serve` takes "
            "the missing steps at its start (`tramontane backup FILE` first keeps it as it is)"
        )


@functools.cache
def own_tables(revision: str | None) -> frozenset[str]:
    """The names of our tables at a known step, ours and nobody else's: learned by taking the steps in memory."""
    if revision is None:
        return frozenset()
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            upgrade(connection, revision)
            return frozenset(inspect(connection).get_table_names())
    finally:
        engine.dispose()


def current_revision(database: Database) -> str | None:
    """The last step this database has taken; None for an empty one."""
    with database.read() as connection:
        return revision_of(connection)


def revision_of(connection: Connection) -> str | None:
    """The last step taken, inside an open transaction."""
    return MigrationContext.configure(connection).get_current_revision()


def known_revision(connection: Connection) -> str | None:
    """As `revision_of`. Raises Misconfigured with the cure for a step of a newer release."""
    revision = revision_of(connection)
    if revision is not None:
        _refuse_newer(revision)
    return revision


def head_revision() -> str:
    """The last step this release knows."""
    return str(ScriptDirectory(str(FOLDER)).get_current_head())


def knows(revision: str) -> bool:
    """Whether this release has that step."""
    return revision in {step.revision for step in ScriptDirectory(str(FOLDER)).walk_revisions()}


def _pending(database: Database, script: ScriptDirectory, target: str) -> list[str]:
    """The missing steps, oldest first."""
    current = current_revision(database)
    if current is not None:
        _refuse_newer(current)
    steps = [step.revision for step in script.iterate_revisions(target, current or "base")]
    return steps[::-1]


def _refuse_newer(current: str) -> None:
    if not knows(current):
        raise Misconfigured(
            f"the database is at step {current}, which this release does not know: it was written by a newer release. "
            "Install that release again, or restore a backup taken before it"
        )


def _step(database: Database, script: ScriptDirectory, revision: str) -> bool:
    """One step in one transaction; False when another process has taken it meanwhile."""
    with database.write() as connection:
        if database.kind == "postgresql":
            postgresql.lock_schema(connection)
        current = revision_of(connection)
        if current is not None and revision in {step.revision for step in script.iterate_revisions(current, "base")}:
            return False
        upgrade(connection, revision)
        return True


def _keep_copy(database: Database, first: str) -> None:
    if database.kind == "sqlite":
        path = sqlite.file_of(database.url)
        database.copy_to(path.with_name(f"{path.name}.before-{first}"))
