"""The tables' history: it arrives where the rooms' declarations say, step by step, once, and never goes back."""

import importlib
import pkgutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import BigInteger, Boolean, Float, LargeBinary, Text, inspect, text
from tests.foundation.store.accounts import add, names

import tramontane.features
import tramontane.records
from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.progress import silent
from tramontane.foundation.store import schema
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.derived import is_derived
from tramontane.foundation.store.tables import metadata

TENANT = {"organisation_id", "workspace_id"}
PORTABLE = (BigInteger, Boolean, Float, LargeBinary, Text)


def declared() -> None:
    """Import every room's tables."""
    for floor in (tramontane.records, tramontane.features):
        for module in pkgutil.walk_packages(floor.__path__, f"{floor.__name__}."):
            if module.name.endswith(".store"):
                importlib.import_module(module.name)


def test_the_steps_end_where_the_declarations_are(database: Database) -> None:
    declared()
    with database.read() as connection:
        opts = {"compare_type": False, "include_name": lambda name, kind, _: kind != "table" or not is_derived(name)}
        context = MigrationContext.configure(connection, opts=opts)
        differences = compare_metadata(context, metadata)
    assert differences == []


def test_every_table_says_whose_its_rows_are(database: Database) -> None:
    with database.read() as connection:
        inspector = inspect(connection)
        tables = [name for name in inspector.get_table_names() if name != "alembic_version" and not is_derived(name)]
        assert "receipt" in tables and "conversation_entry" in tables
        for table in tables:
            key = set(inspector.get_pk_constraint(table)["constrained_columns"])
            assert key & TENANT, f"{table} has no tenant in its primary key"


def test_every_column_is_of_a_type_both_databases_share(database: Database) -> None:
    with database.read() as connection:
        inspector = inspect(connection)
        for table in inspector.get_table_names():
            if table != "alembic_version" and not is_derived(table):
                for column in inspector.get_columns(table):
                    assert isinstance(column["type"], PORTABLE), f"{table}.{column['name']}: {column['type']!r}"


def test_steps_are_taken_once_and_reported(address: str) -> None:
    database = Database.open(address)
    told: list[tuple[int, int]] = []
    taken = schema.migrate(database, lambda stage, done, total: told.append((done, total)))
    assert taken >= 1
    assert told[0] == (0, taken)
    assert told[-1] == (taken, taken)
    assert schema.migrate(database, silent) == 0
    assert schema.current_revision(database) == schema.head_revision()
    database.close()


def test_several_processes_may_start_at_once(address: str) -> None:
    opened = [Database.open(address) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        taken = list(pool.map(lambda database: schema.migrate(database, silent), opened))
    assert sum(taken) == len(list(ScriptDirectory(str(schema.FOLDER)).walk_revisions()))
    for database in opened:
        database.close()


def test_the_history_is_one_line() -> None:
    script = ScriptDirectory(str(schema.FOLDER))
    assert len(script.get_heads()) == 1
    assert all(not step.is_branch_point and not step.is_merge_point for step in script.walk_revisions())


def test_a_step_that_breaks_leaves_nothing_behind(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database.open(address)
    schema.migrate(database, silent)
    add(database, "a")
    folder = _with_broken_step(tmp_path)
    monkeypatch.setattr(schema, "FOLDER", folder)
    with pytest.raises(RuntimeError, match="broke"):
        schema.migrate(database, silent)
    with database.read() as connection:
        assert "half" not in inspect(connection).get_table_names()
    assert names(database) == {"a"}
    monkeypatch.undo()
    assert schema.migrate(database, silent) == 0
    database.close()


def test_a_file_with_rows_is_copied_before_a_step(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 't.db'}")
    schema.migrate(database, silent, target="0001")
    add(database, "a")
    assert schema.migrate(database, silent) >= 1
    copy = Database.open(f"sqlite:///{tmp_path / 't.db.before-0002'}")
    assert names(copy) == {"a"}
    assert schema.current_revision(copy) == "0001"
    copy.close()
    database.close()


def test_a_workspace_keeps_the_largest_weight_its_live_keys_had(address: str) -> None:
    database = Database.open(address)
    schema.migrate(database, silent, target="0002")
    add(database, "o")
    with database.write() as connection:
        for name, weight in (("plain", 1), ("heavy", 1), ("heavier", 9), ("past", 2)):
            connection.execute(
                text("INSERT INTO workspace VALUES ('o', :name, :name, :weight, 1)"), {"name": name, "weight": weight}
            )
        for number, (name, weight, revoked_ns) in enumerate(
            [("plain", None, None), ("heavy", 3, None), ("heavy", 5, None), ("heavier", 4, None), ("past", 8, 1)]
        ):
            connection.execute(
                text(
                    "INSERT INTO service_key (organisation_id, workspace_id, key_id, name, secret_sha256, scopes, weight, "
                    "created_ns, revoked_ns) VALUES ('o', :name, :key, :key, :hash, 'inference', :weight, 1, :revoked_ns)"
                ),
                {"name": name, "key": f"k{number}", "hash": b"h", "weight": weight, "revoked_ns": revoked_ns},
            )
    assert schema.migrate(database, silent) >= 1
    with database.read() as connection:
        weights = {name: weight for name, weight in connection.execute(text("SELECT name, weight FROM workspace"))}
        assert connection.execute(text("SELECT count(*) FROM service_key")).scalar_one() == 5
        assert "weight" not in {column["name"] for column in inspect(connection).get_columns("service_key")}
    assert weights == {"plain": 1, "heavy": 5, "heavier": 9, "past": 2}
    database.close()


def test_a_newer_database_is_refused_with_the_cure(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Misconfigured, match=r"9999.*newer release"):
        schema.migrate(database, silent)


def _with_broken_step(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for source in [schema.FOLDER / "env.py", *(schema.FOLDER / "versions").glob("*.py")]:
        (folder / source.relative_to(schema.FOLDER)).write_text(source.read_text())
    (folder / "versions" / "9998_broken.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n\n"
        f"revision, down_revision = '9998', '{schema.head_revision()}'\n\n\n"
        "def upgrade():\n"
        "    op.create_table('half', sa.Column('organisation_id', sa.Text, primary_key=True))\n"
        '    op.execute("DELETE FROM organisation")\n'
        "    raise RuntimeError('the step broke')\n"
    )
    return folder
