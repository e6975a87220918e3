"""The commands on a real, empty installation: what they print where, what they refuse and what they leave behind."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.fakes.tiny_files import write_gguf

from tramontane.app.installation import Installation
from tramontane.entrypoints.cli import command_line


@pytest.fixture
def run(home: Path) -> object:
    """Run one command as a process of its own would, with fresh settings."""

    def call(*arguments: str, **variables: str) -> Result:
        return CliRunner().invoke(command_line, arguments, obj=Installation(), env=variables)

    return call


def test_a_key_lives_and_ends(run) -> None:
    made = run("key", "create", "app", "--requests-per-minute", "5")
    assert made.exit_code == 0
    secret = made.stdout.strip()
    assert secret.startswith("tm_") and made.stdout.count("\n") == 1
    listed = run("key", "list").stdout
    assert "app" in listed and "live" in listed and secret not in listed
    assert run("key", "create", "app").exit_code == 1
    assert run("key", "revoke", "app").exit_code == 0
    assert "revoked" in run("key", "list").stdout
    assert run("key", "revoke", "nobody").exit_code == 1


@pytest.mark.parametrize("end", ["30", "30d", "2100-12-31", "never"])
def test_a_key_ends_when_it_is_told_to(run, end: str) -> None:
    assert run("key", "create", "app", "--expires", "7").exit_code == 0
    before = run("key", "list").stdout
    changed = run("key", "expire", "app", end)
    assert changed.exit_code == 0 and "app" in changed.stderr
    assert run("key", "list").stdout != before
    if end == "2100-12-31":
        assert re.search(r"2100-12-31|2101-01-01", run("key", "list").stdout)  # in this machine's own time


def test_an_end_that_cannot_be_is_refused(run) -> None:
    for end in ("0", "soon", "2020-01-01", "99999", "-3", "2100-13-01", ""):
        assert run("key", "create", "app", "--expires", end).exit_code != 0, end
    assert "app" not in run("key", "list").stdout
    assert run("key", "expire", "nobody", "30").exit_code == 1
    run("key", "create", "app")
    run("key", "revoke", "app")
    assert run("key", "expire", "app", "30").exit_code == 1


def test_a_key_is_limited_to_models(run) -> None:
    assert run("key", "create", "app", "--model", "tiny", "--model", "small").exit_code == 0
    assert "small,tiny" in run("key", "list").stdout
    assert run("key", "create", "other", "--model", "a b").exit_code == 1


def test_keys_of_another_workspace_are_not_seen(run) -> None:
    run("key", "create", "theirs", "--workspace", "team", "--create-workspace")
    assert "theirs" not in run("key", "list").stdout
    assert "theirs" in run("key", "list", "--workspace", "team").stdout
    missing = run("key", "list", "--workspace", "nowhere")
    assert missing.exit_code == 1 and "nowhere" in missing.stderr


def test_a_workspace_is_weighed_and_a_key_is_not(run) -> None:
    run("key", "create", "theirs", "--workspace", "team", "--create-workspace")
    assert run("workspace", "weight", "team", "4").exit_code == 0
    rows = [line.split()[:2] for line in run("workspace", "list").stdout.splitlines()]
    assert rows == [["name", "weight"], ["default", "1"], ["team", "4"]]
    assert run("workspace", "weight", "nowhere", "4").exit_code == 1
    assert run("workspace", "weight", "team", "0").exit_code == 2
    assert run("key", "create", "other", "--weight", "4").exit_code == 2


def test_the_data_folder_is_for_its_owner_alone(run, tmp_path: Path) -> None:
    fresh = tmp_path / "deep" / "home"
    assert run("key", "create", "app", TRAMONTANE_HOME=str(fresh)).exit_code == 0
    assert fresh.stat().st_mode & 0o077 == 0


def test_config_shows_what_is_in_force_and_hides_passwords(run) -> None:
    shown = run("config", "show", TRAMONTANE_PORT="8500", TRAMONTANE_ENGINE__MAX_SEQUENCES="7").stdout
    assert "port = 8500" in shown and "max_sequences = 7" in shown
    hidden = run("config", "show", TRAMONTANE_DATABASE_URL="postgresql://me:secret@127.0.0.1/db").stdout
    assert "secret" not in hidden and "127.0.0.1/db" in hidden


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"TRAMONTANE_PORTT": "1"}, "TRAMONTANE_PORTT"),
        ({"TRAMONTANE_PORT": "many"}, "port"),
        ({"TRAMONTANE_ENGINE__THREADS": "-2"}, "engine.threads"),
        ({"TRAMONTANE_DATABASE_URL": "mysql://x/y"}, "mysql"),
    ],
)
def test_a_wrong_setting_refuses_and_is_named(run, variables: dict[str, str], named: str) -> None:
    refused = run("key", "list", **variables)
    assert refused.exit_code == 1
    assert named in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_wrong_key_in_the_file_is_named(run, home: Path) -> None:
    (home / "tramontane.toml").write_text("[engine]\nthread = 2\n")
    refused = run("key", "list")
    assert refused.exit_code == 1 and "engine.thread" in refused.stderr
    (home / "tramontane.toml").write_text("port = = 1\n")
    assert "not valid TOML" in run("key", "list").stderr


def test_doctor_looks_and_changes_nothing(run, home: Path) -> None:
    result = run("doctor")
    assert result.exit_code in (0, 1)
    for subject in ("Python", "Processor", "Memory", "Data folder", "Database", "Address", "Engines", "Isolation"):
        assert subject in result.stdout
    assert list(home.iterdir()) == []


def test_models_are_listed_and_judged_before_anything_is_fetched(run) -> None:
    assert "smollm2-135m-instruct" not in run("models", "list").stdout
    assert "smollm2-135m-instruct" in run("models", "list", "--all").stdout
    fits = run("models", "fit", "smollm2-135m-instruct").stdout
    assert "fits" in fits and "GB" in fits
    large = run("models", "fit", "mistral-large-instruct-2411").stdout
    assert "does not fit" in large and "needs" in large
    unknown = run("models", "show", "smollm2-135m-instruc")
    assert unknown.exit_code == 1 and "smollm2-135m-instruct" in unknown.stderr


def test_a_licence_that_needs_acceptance_is_asked_for(run) -> None:
    refused = run("models", "pull", "codestral-22b-v0.1")
    assert refused.exit_code == 1
    cure = re.search("`tramontane (.*?)`", refused.stderr)
    assert cure is not None
    accepted = run(*cure[1].split(), TRAMONTANE_HUB__ENDPOINT="http://127.0.0.1:9")
    assert accepted.exit_code == 1 and "cannot be reached" in accepted.stderr
    again = run("models", "pull", "codestral-22b-v0.1", TRAMONTANE_HUB__ENDPOINT="http://127.0.0.1:9")
    assert "cannot be reached" in again.stderr and "accept" not in again.stderr


def test_a_foreign_or_cut_file_says_what_was_expected(run, tmp_path: Path) -> None:
    foreign = tmp_path / "model.gguf"
    foreign.write_bytes(b"PK\x03\x04" + bytes(64))
    refused = run("models", "add", str(foreign))
    assert refused.exit_code == 1 and "GGUF" in refused.stderr
    whole = tmp_path / "whole.gguf"
    write_gguf(whole)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole.read_bytes()[:-40])
    refused = run("models", "add", str(cut))
    assert refused.exit_code == 1 and "bytes" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "cut" not in run("models", "list").stdout


def test_an_alias_may_not_lead_nowhere(run) -> None:
    refused = run("models", "alias", "mistral-small-latest", "no-such-model")
    assert refused.exit_code == 1 and "no-such-model" in refused.stderr
    assert run("models", "alias", "x", "--remove").exit_code == 1


def test_usage_of_nothing_and_a_wrong_span(run) -> None:
    run("key", "create", "app")
    assert run("usage").stdout.split()[:3] == ["workspace", "key", "model"]
    refused = run("usage", "--since", "soon")
    assert refused.exit_code == 1 and "90m" in refused.stderr


def test_a_backup_comes_back_into_an_empty_folder(run, tmp_path: Path) -> None:
    secret_list = run("key", "create", "kept")
    assert secret_list.exit_code == 0
    archive = tmp_path / "backup.tar"
    assert run("backup", str(archive)).exit_code == 0
    assert run("backup", str(archive)).exit_code == 1
    other = str(tmp_path / "other")
    restored = run("restore", str(archive), TRAMONTANE_HOME=other)
    assert restored.exit_code == 0, restored.stderr
    assert "kept" in run("key", "list", TRAMONTANE_HOME=other).stdout
    again = run("restore", str(archive), TRAMONTANE_HOME=other)
    assert (again.exit_code == 1 and "--replace" in again.stderr) or "replace" in again.stderr
