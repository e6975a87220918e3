"""A model folder copied into the data folder is named where somebody asks for the model, and taken in where it lies."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.fakes.tiny_files import write_folder

from tramontane.adapters.sources.folders import ModelFolders
from tramontane.adapters.sources.install import Engines, Installer, Request, draft_entry
from tramontane.adapters.sources.transfer import Transfer
from tramontane.app.directory import Directory
from tramontane.app.installation import Installation
from tramontane.app.records import opened_records
from tramontane.entrypoints.cli import command_line
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.nouns import Caller
from tramontane.foundation.progress import ProgressReport, silent
from tramontane.foundation.settings import load_settings
from tramontane.records.catalog.errors import ModelNotFound
from tramontane.records.catalog.licences import OWN
from tramontane.records.catalog.nouns import LocalSource


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command_line, arguments, obj=Installation())


def as_it_is(weights: Path, folder: Path, report: ProgressReport) -> float | None:
    return None


@pytest.fixture
def copied(home: Path, tmp_path: Path) -> Path:
    """The folder of a model that was installed elsewhere, copied into this data folder."""
    write_folder(tmp_path / "source")
    engines = Engines(lambda weights: None, as_it_is, False)
    elsewhere = Installer(ModelFolders(tmp_path / "elsewhere"), engines, lambda model: None)
    entry = draft_entry("tiny", LocalSource(path=str(tmp_path / "source")), OWN)
    elsewhere.pull(entry, Request(), Transfer())
    shutil.copytree(tmp_path / "elsewhere" / "models" / "tiny", home / "models" / "tiny")
    shutil.rmtree(tmp_path / "source")
    return home / "models" / "tiny"


def test_it_is_named_and_taken_in(copied: Path) -> None:
    shown = run("models", "show", "tiny")
    assert shown.exit_code == 1
    assert f"`tramontane models add {copied}`" in shown.stderr
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    added = run("models", "add", str(copied))
    assert added.exit_code == 0, added.stderr
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before
    assert "tiny" in run("models", "list").stdout


def test_one_that_was_altered_on_the_way_is_not_taken_in(copied: Path) -> None:
    weights = next(copied.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert run("models", "add", str(copied)).exit_code == 1
    assert "tiny" not in run("models", "list").stdout


def test_callers_learn_of_it_and_of_nothing_else(copied: Path) -> None:
    run("key", "create", "app")
    with opened_records(load_settings(), SystemClock(), silent) as records:
        directory = Directory(records.catalogue, load_settings().home)
        caller = Caller(organisation_id="o", workspace_id="w", principal_id="p")
        with pytest.raises(ModelNotFound, match="models add models/tiny"):
            directory.resolve(caller, "tiny")
        for name in ("tinier", "../tiny", "tiny/files", "", "x" * 500):
            with pytest.raises(Exception) as refusal:
                directory.resolve(caller, name)
            assert "models add" not in str(refusal.value)
