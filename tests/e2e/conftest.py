"""One installation for the whole session, made by the commands a newcomer would type: both embedded models and a scripted one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.platform import Platform, run, serving
from tests.fakes.scripted_server import MODEL, ScriptedServer, scripted_server

CHAT = "smollm2-135m-instruct"
EMBEDDING = "all-minilm-l6-v2"


@pytest.fixture(scope="session")
def scripted() -> Iterator[ScriptedServer]:
    """What answers as MODEL: for answers whose end a test decides, which no weights do."""
    with scripted_server() as server:
        yield server


@pytest.fixture(scope="session")
def installed_home(tmp_path_factory: pytest.TempPathFactory, scripted: ScriptedServer) -> Path:
    """A data folder with the models pulled and prepared."""
    home = tmp_path_factory.mktemp("installed") / "home"
    added = ("add", f"{scripted.address}#{MODEL}", "--licence", "apache-2.0", "--accept-licence")
    for command in (("pull", CHAT), ("pull", EMBEDDING), added):
        result = run(home, "models", *command)
        assert result.returncode == 0, result.stderr
    return home


@pytest.fixture(scope="session")
def platform(installed_home: Path) -> Iterator[Platform]:
    """The server all gentle tests share; a test that breaks things starts its own."""
    with serving(installed_home) as running:
        yield running
