"""People of a running server, made by the links a newcomer gets, and browser windows that are signed in as them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx2
from playwright.sync_api import Browser, BrowserContext, Page
from tests.browser.watch import Watch
from tests.e2e.platform import Platform
from tests.waiting import wait_until

LINK = re.compile(r"/join#([\w-]{43})")
PASSWORD = "four plain words here"
_numbers = count(1)


@dataclass
class Person:
    """Somebody with an account, and a client that is signed in as them."""

    name: str
    email: str
    platform: Platform
    client: httpx2.Client = field(repr=False)

    def call(self, method: str, path: str, **more: Any) -> Any:
        """One request of theirs; its JSON. Fails on a refusal."""
        answer = self.client.request(method, path, timeout=60, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def until_signed_out(self) -> None:
        """Wait until their own session is over: one may be believed for the moment it is kept in memory."""
        wait_until(lambda: not self.call("GET", "/web/session")["signed_in"])

    @contextmanager
    def window(self, browser: Browser, **options: Any) -> Iterator[BrowserContext]:
        """A browser window signed in as them, watched; leaving it asks whether it stayed clean."""
        with window(browser, self.platform, **options) as context:
            self.enter(context)
            yield context

    def enter(self, context: BrowserContext) -> None:
        """Sign a browser's window in as them."""
        cookies = [
            {"name": str(cookie.name), "value": str(cookie.value), "url": self.platform.address}
            for cookie in self.client.cookies.jar
        ]
        context.add_cookies(cookies)  # type: ignore[arg-type]


@contextmanager
def window(
    browser: Browser, platform: Platform, watch: Watch | None = None, **options: Any
) -> Iterator[BrowserContext]:
    """A window of nobody's, watched the same way."""
    options = {"locale": "en-GB", "reduced_motion": "reduce", "base_url": platform.address, **options}
    context = browser.new_context(**options)
    context.set_default_timeout(30_000)
    watch = (watch or Watch(platform.address)).over(context)
    try:
        yield context
        watch.clean()
    finally:
        context.close()


def until_signed_out(page: Page) -> None:
    """Wait until the session of this page's window is over at the server, without the page noticing."""
    headers = {"sec-fetch-site": "same-origin"}
    wait_until(lambda: not page.context.request.get("/web/session", headers=headers).json()["signed_in"])


def joined(platform: Platform, secret: str, name: str = "") -> Person:
    """Somebody who followed the link with this secret."""
    number = next(_numbers)
    name = name or f"Person {number}"
    client = httpx2.Client(base_url=platform.address, headers={"sec-fetch-site": "same-origin"})
    body = {"secret": secret, "name": name, "email": f"p{number}@example.org", "password": PASSWORD}
    answer = client.post("/web/invitation/accept", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    client.headers["x-tramontane-csrf"] = answer.json()["csrf"]
    return Person(name, body["email"], platform, client)


def first_administrator(platform: Platform) -> Person:
    found = LINK.search(platform.said)
    assert found, platform.said
    return joined(platform, found[1], "Ada")


def invited(administrator: Person, role: str = "member", name: str = "") -> Person:
    secret = administrator.call("POST", "/web/invitations", json={"role": role})["secret"]
    return joined(administrator.platform, secret, name)
