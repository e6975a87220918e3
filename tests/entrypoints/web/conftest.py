"""The browser's way in over real records, on each database: pages of several people in two workspaces and a stranger's."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, NamedTuple

import httpx2
import pytest
from starlette.types import ASGIApp
from tests.fakes.accounts import quick_accounts, signed_in
from tests.fakes.clock import FakeClock
from tests.fakes.doors import fake_doors

from tramontane.entrypoints import web
from tramontane.entrypoints.api import build_app
from tramontane.entrypoints.api.cookie import PLAIN_NAME
from tramontane.entrypoints.web import WebDoors
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import Accounts, Keys, Places
from tramontane.records.access.nouns import Role


class Site(NamedTuple):
    """A running application and what it stands on."""

    app: ASGIApp
    clock: FakeClock
    accounts: Accounts
    places: Places
    keys: Keys
    here: Scope
    other: Scope

    def page(self, token: str | None = None, csrf: str | None = None) -> httpx2.AsyncClient:
        """A browser with our page open, signed in by `token`."""
        headers = {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1"}
        if csrf is not None:
            headers["x-tramontane-csrf"] = csrf
        cookies = httpx2.Cookies()
        if token:
            cookies.set(PLAIN_NAME, token, domain="127.0.0.1", path="/")
        transport = httpx2.ASGITransport(app=self.app, client=("192.0.2.1", 1))
        return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers, cookies=cookies)

    async def person(self, name: str, role: Role = "member", scope: Scope | None = None) -> "Page":
        """Somebody new, signed in."""
        token = await signed_in(self.accounts, scope or self.here, name, role)
        found = await self.accounts.sessions.signed_in(token)
        return Page(self.page(token, found.csrf), found.person.person_id, token, found.session_id)


class Page(NamedTuple):
    """A person's browser; `ask` gives status and body."""

    client: httpx2.AsyncClient
    person_id: str
    token: str
    session_id: str

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        response = await self.client.request(method, path, json=body)
        return response.status_code, response.json() if response.content else None


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    clock = FakeClock()
    places = Places(database, clock)
    organisation_id = places.create_organisation("ours").organisation_id
    here = places.create_workspace(organisation_id, "mine").scope
    other = places.create_workspace(organisation_id, "other").scope
    accounts = quick_accounts(database, clock, organisation_id)
    browser = WebDoors(accounts=accounts, database=database, default_model="fake", clock=clock)
    doors = fake_doors(sessions=accounts.sessions.signed_in, more=(partial(web.add_routes, web=browser),), clock=clock)
    yield Site(build_app(doors), clock, accounts, places, Keys(database, clock), here, other)
    await accounts.close()
