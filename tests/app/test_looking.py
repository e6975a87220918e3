"""Commands that only look write nothing and wait for nobody; a restore has the store alone. On each database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tramontane.app import installation
from tramontane.app.installation import Installation
from tramontane.app.records import opened_records
from tramontane.entrypoints.cli import command_line
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.progress import silent
from tramontane.foundation.settings import load_settings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.lease import taken_over
from tramontane.foundation.store.schema import current_revision, migrate

LOOKING = (("models", "list"), ("models", "list", "--all"), ("usage",), ("key", "list"), ("workspace", "list"))
Run = Callable[..., Result]


@pytest.fixture
def run(home: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """One command as a process of its own would run it, on the test's database."""
    monkeypatch.setenv("TRAMONTANE_DATABASE_URL", address)
    return lambda *arguments: CliRunner().invoke(command_line, arguments, obj=Installation())


@contextmanager
def somebody_writing(address: str) -> Iterator[None]:
    """A transaction that lets others read and nobody else write."""
    database = Database.open(address)
    with database.write() as connection:
        if database.kind == "postgresql":
            connection.execute(text("LOCK TABLE organisation, workspace, secret, installed_model IN EXCLUSIVE MODE"))
        yield
    database.close()


def test_looking_does_not_wait_for_who_writes(run: Run, address: str) -> None:
    assert run("key", "create", "app").exit_code == 0
    with somebody_writing(address):
        for command in LOOKING:
            result = run(*command)
            assert result.exit_code == 0, result.stderr
        assert "app" in run("key", "list").stdout
        assert run("key", "create", "other").exit_code == 1


def test_looking_writes_nothing(run: Run, address: str, home: Path) -> None:
    run("key", "create", "app")
    before = _state(address, home)
    for command in (*LOOKING, ("config", "show")):
        assert run(*command).exit_code == 0
    assert _state(address, home) == before


def _state(address: str, home: Path) -> object:
    files = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    if address.startswith("sqlite"):
        return files, Path(address.removeprefix("sqlite:///")).read_bytes()
    database = Database.open(address)
    with database.read() as connection:
        written = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_xact_all_tables"
        rows = connection.execute(text("SELECT organisation_id, xmin::text FROM organisation")).all()
        found = connection.execute(text(written)).scalar_one(), [tuple(row) for row in rows]
    database.close()
    return files, found


def test_before_the_first_start_looking_says_so_and_makes_nothing(run: Run, address: str, home: Path) -> None:
    for command in (("usage",), ("key", "list"), ("backup", str(home.parent / "b.tar"))):
        result = run(*command)
        assert result.exit_code == 1
        assert "no database" in result.stderr or "database is empty" in result.stderr
        assert "Traceback" not in result.stderr
    assert "smollm2-135m-instruct" in run("models", "list", "--all").stdout
    assert run("models", "fit", "smollm2-135m-instruct").exit_code == 0
    assert [path.name for path in home.iterdir() if path.name != "in-use.lock"] == []
    if address.startswith("sqlite"):
        assert not Path(address.removeprefix("sqlite:///")).exists()


def test_an_older_database_is_not_migrated_by_looking_and_can_be_saved_first(
    run: Run, address: str, home: Path
) -> None:
    database = Database.open(address)
    migrate(database, silent, target="0002")
    for command in (("usage",), ("key", "list")):
        result = run(*command)
        assert result.exit_code == 1 and "step 0002" in result.stderr and "tramontane serve" in result.stderr
    saved = run("backup", str(home.parent / "before.tar"))
    assert saved.exit_code == 0, saved.stderr
    assert current_revision(database) == "0002"
    database.close()


def test_a_restore_says_what_to_stop_when_somebody_does_not_make_way(
    run: Run, address: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAMONTANE_HTTP__DRAIN_S", "0")
    monkeypatch.setattr(installation, "LETTING_GO_S", 0.5)
    archive = str(home.parent / "b.tar")
    run("key", "create", "app")
    assert run("backup", archive).exit_code == 0
    with opened_records(load_settings(), SystemClock(), silent):
        refused = run("restore", archive, "--replace")
        assert refused.exit_code == 1 and "stop the server" in refused.stderr
        assert "app" in run("key", "list").stdout
    database = Database.open(address)
    with taken_over(database, home, 0, silent):
        refused = run("key", "create", "other")
        assert refused.exit_code == 1 and "being restored" in refused.stderr
    database.close()
    restored = run("restore", archive, "--replace")
    assert restored.exit_code == 0, restored.stderr
    assert "app" in run("key", "list").stdout
