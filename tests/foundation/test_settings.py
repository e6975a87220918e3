"""Every way to name the data folder means one absolute folder, and everything of an installation lies in it."""

from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from tramontane.foundation.settings import default_home, load_settings
from tramontane.foundation.store.blobs import Blobs
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope


@pytest.mark.parametrize("written", ["data", "./data", "~/data", "{here}/data"])
def test_the_data_folder_is_absolute(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRAMONTANE_HOME", written.format(here=tmp_path))
    settings = load_settings()
    assert settings.home == default_home() == tmp_path.resolve() / "data"
    assert settings.sqlalchemy_url == f"sqlite:///{tmp_path.resolve()}/data/tramontane.db"


def test_an_empty_variable_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRAMONTANE_HOME", "")
    monkeypatch.setenv("TRAMONTANE_PORT", "")
    settings = load_settings()
    assert (settings.home, settings.port) == (tmp_path.resolve() / ".tramontane", 8400)


@pytest.mark.parametrize("name", ["my data", "50%20", "d\u00e9p\u00f4t", "a#b", "a?b=c", "me:secret@b"])
def test_everything_lies_in_the_data_folder_whatever_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAMONTANE_HOME", str(tmp_path / name))
    settings = load_settings()
    Blobs(settings.blobs).put(Scope("org", "ws"), "a", BytesIO(b"x"))
    assert [path.name for path in (tmp_path / name / "blobs").rglob("a")] == ["a"]
    with closing(Database.open(settings.sqlalchemy_url)) as database, database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE one (id INTEGER)")
    assert (tmp_path / name / "tramontane.db").stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
