"""One installation with both embedded models for the whole session, made by the commands a newcomer would type."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.platform import Platform, run, serving

CHAT = "smollm2-135m-instruct"
EMBEDDING = "all-minilm-l6-v2"


@pytest.fixture(scope="session")
def installed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the models pulled and prepared."""
    home = tmp_path_factory.mktemp("installed") / "home"
    for model in (CHAT, EMBEDDING):
        result = run(home, "models", "pull", model)
        assert result.returncode == 0, result.stderr
    return home


@pytest.fixture(scope="session")
def platform(installed_home: Path) -> Iterator[Platform]:
    """The server all gentle tests share; a test that breaks things starts its own."""
    with serving(installed_home) as running:
        yield running
