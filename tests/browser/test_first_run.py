"""The first run with a model that has to be fetched: its progress, stopping it, going on, and the first question."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.browser.chat import MODEL, Chat
from tests.browser.people import first_administrator
from tests.browser.words import say
from tests.e2e.platform import Platform, serving
from tests.fakes.hub import FakeHub, running_hub
from tests.fakes.tiny_chat import tiny_chat
from tests.waiting import wait_until

FETCHED = "smollm2-360m-instruct"
REPOSITORY = "HuggingFaceTB/SmolLM2-360M-Instruct"
WEIGHTS = "model.safetensors"
BUSY_MS = 120_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with running_hub() as server:
        files = tiny_chat(tmp_path / "tiny")
        server.add(REPOSITORY, files)
        server.drips_after[WEIGHTS] = len(files[WEIGHTS]) // 3
        yield server


@pytest.fixture
def fresh(own_home: Path, hub: FakeHub) -> Iterator[Platform]:
    with serving(own_home, TRAMONTANE_DEFAULT_MODEL=MODEL, TRAMONTANE_HUB__ENDPOINT=hub.url) as running:
        yield running


def row(page: Page, model: str) -> Locator:
    """A model in the list of the second step."""
    listed = page.get_by_role("list", name=say("account.chooseModel")).get_by_role("listitem")
    return listed.filter(has=page.get_by_role("heading", name=model, exact=True))


def test_a_model_is_fetched_stopped_fetched_again_and_asked(
    browser: Browser, fresh: Platform, hub: FakeHub, own_home: Path
) -> None:
    with first_administrator(fresh).window(browser) as context:
        page = context.new_page()
        page.goto("/welcome")
        # One of the models here is another server's, so the page promises nothing for all of them.
        expect(page.get_by_text(say("account.machineElsewhere"))).to_be_visible()
        page.get_by_role("button", name=say("common.next")).click()
        expect(row(page, MODEL)).to_contain_text(say("studio.runsAt", host="127.0.0.1"))
        wanted = row(page, FETCHED)
        expect(wanted).not_to_contain_text(say("studio.runsHere"))

        download = wanted.get_by_role("button", name=re.compile("^Download"))
        download.click()
        bar = wanted.get_by_role("progressbar")
        expect(bar).to_have_accessible_name(re.compile(f"{FETCHED}.*{say('studio.stage.fetching')}"))
        expect(wanted).to_contain_text(re.compile(r"\d.* of .*\d"))
        wait_until(lambda: any(path == WEIGHTS for path, _ in hub.served))
        wanted.get_by_role("button", name=say("account.stop")).click()
        expect(download).to_be_visible(timeout=BUSY_MS)
        expect(bar).to_have_count(0)
        assert not hub.go.is_set() and not (own_home / "models" / FETCHED).exists()

        hub.go.set()
        download.click()
        chosen = wanted.get_by_role("button", name=re.compile(f"^{say('account.ready')}"))
        expect(chosen).to_have_attribute("aria-pressed", "true", timeout=BUSY_MS)
        assert any(begin > 0 for path, begin in hub.served if path == WEIGHTS), "it began anew"
        expect(wanted).to_contain_text(say("studio.runsHere"))
        page.get_by_role("button", name=say("account.useModel", name=FETCHED)).click()
        page.get_by_label(say("account.question"), exact=True).fill("hello")
        page.get_by_role("button", name=say("account.ask")).click()
        chat = Chat(page)
        expect(chat.field).to_have_value("hello")
        chat.field.press("Enter")
        expect(chat.answers).to_have_count(1)
        expect(chat.answers.last).to_have_attribute("aria-busy", "false", timeout=BUSY_MS)
        expect(chat.answers.last).to_contain_text(FETCHED)
