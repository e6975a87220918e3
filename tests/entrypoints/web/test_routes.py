"""Every route under `/web`: closed without a session, to keys and to strangers' pages, whatever is added to it later."""

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from tests.entrypoints.web.conftest import Site
from tests.fakes.doors import KEY, fake_doors

from tramontane.entrypoints import web
from tramontane.entrypoints.api.policy import door_route
from tramontane.entrypoints.web import WebDoors

OPEN = {
    ("GET", "/web/session"),
    ("POST", "/web/sign-in"),
    ("POST", "/web/invitation/look"),
    ("POST", "/web/invitation/accept"),
}


def routes_of(site: Site) -> list[tuple[str, str]]:
    """Method and path of all that `/web` answers."""
    app = FastAPI()
    app.router.route_class = door_route(fake_doors())
    web.add_routes(app.router, WebDoors(accounts=site.accounts, database=site.accounts._database, default_model="fake"))
    found = [route for route in app.router.routes if isinstance(route, APIRoute)]
    return sorted(
        (method, route.path) for route in found for method in route.methods or () if route.path.startswith("/web/")
    )


async def ask(page: httpx2.AsyncClient, method: str, path: str, **headers: str) -> httpx2.Response:
    return await page.request(method, path.replace("{", "").replace("}", ""), headers=headers)


async def test_without_a_session_only_the_ways_in_are_open(site: Site) -> None:
    routes = routes_of(site)
    assert set(routes) >= OPEN and len(routes) >= 18
    for method, path in routes:
        response = await ask(site.page(), method, path)
        if (method, path) in OPEN:
            assert response.status_code in (200, 422), (method, path)
        else:
            assert response.status_code == 401, (method, path)
        forged = await ask(site.page("a" * 43), method, path)
        assert (forged.status_code == 401) == ((method, path) not in OPEN), (method, path)


async def test_no_key_opens_what_is_peoples(site: Site) -> None:
    for method, path in routes_of(site):
        if (method, path) not in OPEN:
            response = await ask(site.page(), method, path, authorization=f"Bearer {KEY}")
            assert response.status_code == 403, (method, path)


async def test_a_key_beside_a_session_opens_nothing(site: Site) -> None:
    ada = await site.person("Ada", "administrator")
    for method, path in routes_of(site):
        response = await ask(ada.client, method, path, authorization=f"Bearer {KEY}")
        assert response.status_code == 401, (method, path)


@pytest.mark.parametrize(
    "change",
    [{"sec-fetch-site": "cross-site"}, {"origin": "http://127.0.0.1:9"}, {"x-tramontane-csrf": "x"}],
)
async def test_no_change_from_a_strangers_page(site: Site, change: dict[str, str]) -> None:
    ada = await site.person("Ada", "administrator")
    for method, path in routes_of(site):
        if method == "GET" or ((method, path) in OPEN and "x-tramontane-csrf" in change):
            continue
        response = await ask(ada.client, method, path, **change)
        assert response.status_code == 403 and response.json()["code"] == "csrf", (method, path)


async def test_answers_are_kept_by_nobody_and_bodies_are_checked(site: Site) -> None:
    ada = await site.person("Ada", "administrator")
    for method, path in routes_of(site):
        if method == "GET":
            response = await ask(ada.client, method, path)
            if response.headers["content-type"] == "application/json":
                assert response.headers["cache-control"] == "no-store", path
    for body in (b"", b"[]", b"{", b'{"role":"member","more":1}', b'{"role":["member"]}'):
        response = await ada.client.post("/web/invitations", content=body, headers={"content-type": "application/json"})
        assert response.status_code == 422, body
    plain = await ada.client.post("/web/invitations", content=b"{}", headers={"content-type": "text/plain"})
    assert plain.status_code == 415
