"""Who is at the other end, also behind a proxy, so that one person's guessing does not keep everybody out; and odd bytes."""

import httpx2
import pytest
from tests.entrypoints.web.conftest import Site
from tests.fakes.accounts import PASSWORD

NUL = "a\x00b"


def page_from(site: Site, address: str, forwarded: str = "") -> httpx2.AsyncClient:
    headers = {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1"}
    if forwarded:
        headers["x-forwarded-for"] = forwarded
    transport = httpx2.ASGITransport(app=site.app, client=(address, 1))
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)


async def guess(page: httpx2.AsyncClient, times: int) -> None:
    for number in range(times):
        body = {"email": f"nobody{number}@example.org", "password": "a wrong password"}
        await page.post("/web/sign-in", json=body)


async def test_a_stranger_behind_the_same_proxy_keeps_nobody_out(site: Site) -> None:
    await site.person("Ada")
    await guess(page_from(site, "127.0.0.1", "203.0.113.9"), 60)
    ada = {"email": "ada@example.org", "password": PASSWORD}
    assert (await page_from(site, "127.0.0.1", "203.0.113.9").post("/web/sign-in", json=ada)).status_code == 429
    response = await page_from(site, "127.0.0.1", "198.51.100.7").post("/web/sign-in", json=ada)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("forged", ["198.51.100.{}", "198.51.100.{}, 203.0.113.9", "{}"])
async def test_nobody_chooses_the_address_they_are_counted_by(site: Site, forged: str) -> None:
    """What stands before the proxy's own word, or comes from somebody who is no proxy, is the client's invention."""
    peer = "127.0.0.1" if "," in forged else "203.0.113.9"
    statuses = set()
    for number in range(60):
        body = {"email": f"nobody{number}@example.org", "password": "a wrong password"}
        page = page_from(site, peer, forged.format(number))
        statuses.add((await page.post("/web/sign-in", json=body)).status_code)
    assert statuses == {401, 429}


async def test_bytes_that_no_database_keeps_are_refused_like_any_other_wrong_word(site: Site) -> None:
    ada = await site.person("Ada", "administrator")
    body = {"email": f"{NUL}@example.org", "password": PASSWORD}
    assert (await site.page().post("/web/sign-in", json=body)).status_code == 401
    for method, path, sent, status in (
        ("POST", "/web/workspace", {"workspace_id": NUL}, 422),
        ("DELETE", "/web/sessions/a%00b", None, 404),
        ("DELETE", "/web/people/a%00b", None, 404),
        ("PATCH", "/web/people/a%00b", {"role": "member"}, 404),
        ("POST", "/web/people/a%00b/reset", None, 404),
        ("DELETE", "/web/invitations/a%00b", None, 404),
        ("DELETE", "/web/keys/a%00b", None, 404),
        ("POST", "/web/invitations", {"role": "member", "email": f"{NUL}@example.org"}, 422),
        ("POST", "/web/workspaces", {"name": NUL}, 422),
        ("PATCH", "/web/person", {"name": NUL}, 422),
    ):
        found, told = await ada.ask(method, path, sent)
        assert found == status, (method, path, found, told)
