"""One installation, one server and a scripted model for all browser tests; a Chromium per file, a new person per test."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.browser.chat import MODEL, Chat
from tests.browser.chromium import chromium
from tests.browser.people import Person, first_administrator, invited
from tests.e2e.platform import Platform, run, serving
from tests.fakes.scripted_server import SEER, ScriptedServer, scripted_server

from tramontane.entrypoints.web import client_files

# A busy machine is no failure: this is how long something may take to be seen, and nothing is judged by it.
expect.set_options(timeout=30_000)
BUILT = Path(client_files.__file__).parent / "built" / "index.html"


@pytest.fixture(scope="session", autouse=True)
def built_client() -> None:
    if not BUILT.exists():
        pytest.skip("the web client is not built; `make web` builds it where Node.js is")


@pytest.fixture(scope="session")
def scripted() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture(scope="session")
def untouched_home(tmp_path_factory: pytest.TempPathFactory, scripted: ScriptedServer) -> Path:
    """A data folder with the embedded models and the scripted one, and nobody in it yet."""
    home = tmp_path_factory.mktemp("browser") / "home"
    for command in (
        ["models", "pull", "smollm2-135m-instruct"],
        ["models", "add", f"{scripted.address}#{MODEL}", "--licence", "apache-2.0", "--accept-licence"],
        ["models", "add", f"{scripted.address}#{SEER}", "--licence", "apache-2.0", "--accept-licence", "--sees-images"],
    ):
        result = run(home, *command)
        assert result.returncode == 0, result.stderr
    return home


@pytest.fixture
def own_home(untouched_home: Path, tmp_path: Path) -> Path:
    """A copy for a test that needs a server of its own."""
    return Path(shutil.copytree(untouched_home, tmp_path / "home"))


@pytest.fixture(scope="session")
def platform(untouched_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = Path(shutil.copytree(untouched_home, tmp_path_factory.mktemp("shared") / "home"))
    with serving(home, TRAMONTANE_DEFAULT_MODEL=MODEL) as running:
        yield running


@pytest.fixture(scope="session")
def administrator(platform: Platform) -> Person:
    return first_administrator(platform)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Per file, because the driver's loop must not outlive the tests that are not asynchronous."""
    with chromium() as running:
        yield running


@pytest.fixture
def person(administrator: Person) -> Person:
    """Somebody new, with no conversations."""
    return invited(administrator)


@pytest.fixture
def chat(browser: Browser, person: Person) -> Iterator[Chat]:
    """Their first page, watched until the test ends."""
    with person.window(browser) as context:
        yield Chat(context.new_page()).open()


@pytest.fixture
def newcomer(administrator: Person) -> Callable[..., Person]:
    return lambda role="member", name="": invited(administrator, role, name)
