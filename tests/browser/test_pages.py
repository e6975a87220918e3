"""Every page, light and dark: nothing serious for the accessibility checker, one strict policy, no refusal, no foreign host."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tests.browser.pages import PAGES, Shown, furnish
from tests.browser.people import Person, window
from tests.fakes.scripted_server import ScriptedServer

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (standards) => (await axe.run(document, {runOnly: standards, resultTypes: ['violations']})).violations
    .filter((one) => one.impact === 'serious' || one.impact === 'critical')
    .map((one) => ({rule: one.id, at: one.nodes.slice(0, 5).map((n) => [n.target.join(' '), n.failureSummary])}))"""


@pytest.fixture(scope="module")
def made(administrator: Person, scripted: ScriptedServer) -> dict[str, str]:
    return furnish(administrator, scripted.texts)


@pytest.fixture(params=["light", "dark"])
def pair(request: pytest.FixtureRequest, browser: Browser, administrator: Person) -> Iterator[dict[bool, Page]]:
    """A page of the administrator's and one of nobody's, in one colour scheme."""
    look = {"color_scheme": request.param}
    with administrator.window(browser, **look) as inside, window(browser, administrator.platform, **look) as outside:
        yield {True: inside.new_page(), False: outside.new_page()}


@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.name)
def test_nothing_serious_for_the_accessibility_checker(
    pair: dict[bool, Page], shown: Shown, made: dict[str, str]
) -> None:
    page = pair[shown.signed_in]
    shown.go(page, made)
    page.evaluate(AXE.read_text("utf-8"))
    found: list[dict[str, Any]] = page.evaluate(RUN, STANDARDS)
    assert found == [], found


def test_every_page_carries_the_strict_policy(administrator: Person, made: dict[str, str]) -> None:
    paths = [
        "/",
        "/sign-in",
        "/join",
        "/welcome",
        "/people",
        "/projects",
        "/settings",
        "/studio",
        f"/chat/{made['chat']}",
    ]
    for path in [*paths, made["share"], "/offline.html"]:
        headers = administrator.client.get(path).headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'", path
        assert policy["script-src"] == "'self'" and policy["style-src"] == "'self'", path
        assert policy["frame-ancestors"] == "'none'" and policy["base-uri"] == "'none'", path
        assert "http" not in policy["connect-src"] + policy["img-src"], path
        assert headers["x-content-type-options"] == "nosniff"
    for path in ("/sandbox/canvas.html", "/sandbox/mermaid.html"):
        policy_text = administrator.client.get(path).headers["content-security-policy"]
        assert "sandbox allow-scripts" in policy_text and "allow-same-origin" not in policy_text
        assert "default-src 'none'" in policy_text and "connect-src" not in policy_text
