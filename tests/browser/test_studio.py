"""The studio as a developer uses it: two models side by side and the code shown for them, models, keys, usage."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import httpx2
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.browser.chat import MODEL
from tests.browser.people import Person
from tests.browser.words import say
from tests.e2e.platform import Platform, run
from tests.waiting import wait_until

REAL = "smollm2-135m-instruct"
QUESTION = 'name a wind: it\'s "$HOME" & `more`'
BUSY_MS = 120_000  # loading weights on a busy machine


@pytest.fixture
def builder(newcomer: Callable[..., Person]) -> Person:
    return newcomer("builder")


@pytest.fixture
def page(browser: Browser, builder: Person) -> Iterator[Page]:
    with builder.window(browser) as context:
        yield context.new_page()


def button(where: Page | Locator, key: str, **named: object) -> Locator:
    return where.get_by_role("button", name=say(key, **named), exact=True)


def new_key(page: Page, name: str) -> str:
    """A key made on the keys' page; its secret."""
    page.goto("/studio/keys")
    button(page, "studio.newKey").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(say("studio.keyName"), exact=True).fill(name)
    button(dialog, "studio.makeKey").click()
    secret = dialog.get_by_label(say("studio.secret"), exact=True).input_value()
    button(dialog, "studio.haveCopied").click()
    return secret


def ran(code: str, language: str, secret: str) -> str:
    """What the shown code prints when somebody runs it as it stands, with their key."""
    command = ["sh", "-c", code] if language == "curl" else [sys.executable, "-c", code]
    environment = {**os.environ, "TRAMONTANE_API_KEY": secret}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"{language}: {done.stderr}\n{code}"
    return spoken(done.stdout) if language == "curl" else done.stdout


def spoken(stream: str) -> str:
    """The words of a streamed answer, as it came over the line."""
    told = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: {")]
    assert stream.rstrip().endswith("data: [DONE]"), stream
    return "".join(choice["delta"].get("content") or "" for one in told for choice in json.loads(one)["choices"])


def test_two_models_side_by_side_and_the_code_shown_for_them_does_the_same(page: Page, builder: Person) -> None:
    secret = new_key(page, "for the code")
    page.goto("/studio")
    page.get_by_label(say("studio.textOf", number=1), exact=True).fill(QUESTION)
    button(page, "studio.compare").click()
    first = page.get_by_role("article", name=MODEL, exact=True)
    second = page.get_by_role("article").nth(1)
    second.get_by_label(say("studio.model"), exact=True).select_option(REAL)
    second = page.get_by_role("article", name=REAL, exact=True)
    page.locator("summary", has_text=say("studio.sampling")).click()
    page.get_by_label(say("chat.maxTokens"), exact=True).fill("12")
    button(page, "studio.run").click()
    for pane in (first, second):
        expect(pane.get_by_text(re.compile(r"first token after \d"))).to_be_visible(timeout=BUSY_MS)
        expect(pane).to_have_attribute("aria-busy", "false", timeout=BUSY_MS)
    expect(first).to_contain_text("You said: name a wind")
    page.locator("label", has_text=say("studio.asCode")).click()
    for model in (MODEL, REAL):
        page.locator("label", has_text=model).click()
        for language in ("curl", "mistral-python", "openai-python"):
            page.get_by_label(say("studio.language"), exact=True).select_option(language)
            code = page.locator(".code pre")
            expect(code).to_contain_text("curl -N" if language == "curl" else "stream")
            expect(code).to_contain_text(model)
            if language == "curl" and shutil.which("curl") is None:
                continue
            printed = ran(code.inner_text(), language, secret)
            assert printed.strip(), (model, language)
            if model == MODEL:
                assert printed.strip() == f"You said: {QUESTION}", language


def test_a_builder_loads_and_unloads_and_reads_licence_and_fit(page: Page) -> None:
    page.goto("/studio/models")
    card = page.get_by_role("article", name=REAL, exact=True)
    expect(card).to_contain_text(say("studio.runsHereLong"))
    card.locator("summary", has_text="Apache License 2.0").click()
    expect(card).to_contain_text("Any use, changes and redistribution")
    expect(card.get_by_role("link", name=say("studio.readLicence"))).to_have_attribute("href", re.compile("apache.org"))
    unload, load = button(card, "studio.unload"), button(card, "studio.load")
    expect(unload.or_(load)).to_be_visible()
    if unload.is_visible():
        unload.click()
    expect(card.get_by_text(say("studio.state.installed"), exact=True)).to_be_visible(timeout=BUSY_MS)
    load.click()
    expect(card.get_by_text(say("studio.state.loaded"), exact=True)).to_be_visible(timeout=BUSY_MS)
    unload.click()
    expect(load).to_be_visible(timeout=BUSY_MS)
    page.locator("label", has_text=say("studio.filterAll")).click()
    large = page.get_by_role("article", name="mistral-large-instruct-2411", exact=True)
    expect(large).to_contain_text(re.compile("^.*Does not fit: needs .* of memory, .* can be used", re.DOTALL))
    expect(large.locator("summary")).to_have_text("Mistral Research License 0.1")
    expect(button(large, "studio.fetch")).to_have_count(0)  # that is an administrator's
    elsewhere = page.get_by_role("article", name=MODEL, exact=True)
    expect(elsewhere).to_contain_text(say("studio.runsAtLong", host="127.0.0.1"))


def test_the_chooser_says_where_each_model_runs(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name=re.compile(MODEL)).click()
    menu = page.get_by_role("menu", name=say("chat.model"))
    expect(menu.get_by_role("menuitemradio").filter(has_text=REAL)).to_contain_text(say("studio.runsHere"))
    there = menu.get_by_role("menuitemradio").filter(has_text=re.compile(f"^{MODEL}"))
    expect(there).to_contain_text(say("studio.runsAt", host="127.0.0.1"))


def test_an_administrator_gives_a_model_another_name_and_programs_reach_it_by_that(
    browser: Browser, administrator: Person
) -> None:
    with administrator.window(browser) as context:
        page = context.new_page()
        secret = new_key(page, "for the name")
        page.goto("/studio/models")
        card = page.get_by_role("article", name=MODEL, exact=True)
        dialog = page.get_by_role("dialog")
        button(card, "studio.moreFor", name=MODEL).click()
        page.get_by_role("menuitem", name=say("studio.giveName")).click()
        field = dialog.get_by_label(say("studio.newName"), exact=True)
        field.fill("no name")
        button(dialog, "studio.addName").click()
        expect(dialog.get_by_role("alert")).to_be_visible()
        field.fill("mistral-small-latest")
        button(dialog, "studio.addName").click()
        drop = button(dialog, "studio.dropName", alias="mistral-small-latest")
        expect(drop).to_be_visible()
        body = {"model": "mistral-small-latest", "messages": [{"role": "user", "content": "hello"}]}
        answered = asked(administrator.platform, secret, body)
        assert answered.json()["choices"][0]["message"]["content"] == "You said: hello"
        drop.click()
        expect(dialog.get_by_text(say("studio.noOwnNames"))).to_be_visible()
        assert asked(administrator.platform, secret, body).status_code == 404


def asked(platform: Platform, secret: str, body: dict[str, object]) -> httpx2.Response:
    headers = {"authorization": f"Bearer {secret}"}
    return httpx2.post(f"{platform.address}/v1/chat/completions", json=body, headers=headers, timeout=60)


def test_a_key_is_made_shown_once_used_and_revoked(page: Page, builder: Person) -> None:
    secret = new_key(page, "nightly job")
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    assert asked(builder.platform, secret, body).status_code == 200
    page.reload()
    row = page.get_by_role("listitem").filter(has_text="nightly job")
    expect(row).to_contain_text(secret[:12])
    assert secret not in page.content()
    row.get_by_role("button", name=re.compile(f"^{say('studio.revoke')}")).click()
    button(page.get_by_role("dialog"), "studio.revoke").click()
    expect(page.get_by_text(say("studio.revoked", name="nightly job"))).to_be_visible()
    expect(page.get_by_text(say("studio.endedKeys", count=1))).to_be_visible()
    # Callers may be believed for two seconds.
    wait_until(lambda: asked(builder.platform, secret, body).status_code == 401)


def counted(platform: Platform, workspace: str) -> dict[str, int]:
    """The workspace's sums as the terminal tells them."""
    done = run(platform.home, "usage", "--by", "workspace", TRAMONTANE_PORT=str(platform.port))
    assert done.returncode == 0, done.stderr
    head, *rows = [re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()]
    found = next(row for row in rows if row[0] == workspace)
    return {name: int(value) for name, value in zip(head, found, strict=True) if value.isdigit()}


def test_usage_is_what_the_terminal_counts(browser: Browser, administrator: Person) -> None:
    workspace = administrator.call("GET", "/web/session")["workspace"]["name"]
    body = {"model": MODEL, "inputs": "count:7", "stream": False}
    administrator.call("POST", "/v1/conversations", json=body)
    names = {"requests": "requests", "promptTokens": "prompt", "cachedTokens": "cached", "generatedTokens": "generated"}
    with administrator.window(browser) as context:
        page = context.new_page()

        def read() -> dict[str, int]:
            page.goto("/studio/usage")
            expect(page.locator("dl dd").first).to_be_visible()
            told = {
                word: page.locator("dl div", has=page.locator("dt", has_text=re.compile(f"^{say(f'studio.{word}')}$")))
                for word in names
            }
            return {names[word]: int(re.sub(r"\D", "", row.locator("dd").inner_text())) for word, row in told.items()}

        # Receipts of the last second may be on their way to the one and not yet to the other.
        def the_same() -> dict[str, int] | None:
            shown, told = read(), counted(administrator.platform, workspace)
            return shown if shown == {name: told[name] for name in shown} else None

        shown = wait_until(the_same)
        assert shown["requests"] > 0 and shown["generated"] >= 7
