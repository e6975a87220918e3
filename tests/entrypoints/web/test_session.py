"""Signing in and out as a browser does it: the cookie, the session object, the other browsers."""

import re

from tests.entrypoints.web.conftest import Site
from tests.fakes.accounts import PASSWORD

import tramontane
from tramontane.entrypoints.api.cookie import PLAIN_NAME

ADA = {"email": "ada@example.org", "password": PASSWORD}


async def test_before_anybody_is_there_the_page_says_so(site: Site) -> None:
    page = site.page()
    response = await page.get("/web/session")
    assert response.json() == {"signed_in": False, "first_start": True, "version": tramontane.__version__}
    assert response.headers["cache-control"] == "no-store"
    made = site.accounts.invitations.first(site.here)
    assert made is not None
    looked = await page.post("/web/invitation/look", json={"secret": made.secret})
    assert looked.json() == {
        "kind": "first_administrator", "workspace_name": "mine", "organisation_name": "ours", "role": "administrator",
        "email": None, "expires_at": None,
    }  # fmt: skip
    wish = {"secret": made.secret, "name": "Ada", **ADA}
    joined = (await page.post("/web/invitation/accept", json=wish)).json()
    assert joined["signed_in"] and joined["workspace"]["role"] == "administrator"
    assert (await page.get("/web/session")).json() == joined
    stranger = site.page()
    assert (await stranger.get("/web/session")).json()["first_start"] is False
    assert (await stranger.post("/web/invitation/accept", json=wish)).status_code == 404


async def test_the_session_object_and_its_cookie(site: Site) -> None:
    await site.person("Ada", "builder")
    page = site.page()
    response = await page.post("/web/sign-in", json=ADA)
    body = response.json()
    assert body["person"] | {"id": ""} == {
        "id": "", "name": "Ada", "email": "ada@example.org", "language": None, "theme": None,
    }  # fmt: skip
    assert body["workspace"] == {"id": site.here.workspace_id, "name": "mine", "role": "builder"}
    assert body["workspaces"] == [body["workspace"]]
    assert (body["default_model"], body["version"]) == ("fake", tramontane.__version__)
    cookie = response.headers["set-cookie"]
    assert re.fullmatch(
        rf"{PLAIN_NAME}=[\w-]{{43}}; HttpOnly; Max-Age={90 * 86400}; Path=/; SameSite=Strict", cookie
    ), cookie
    assert (await page.get("/v1/models")).status_code == 200


async def test_signing_in_anew_leaves_the_old_session_behind(site: Site) -> None:
    ada = await site.person("Ada")
    await ada.ask("POST", "/web/sign-in", ADA)
    assert (await site.page(ada.token).get("/web/sessions")).status_code == 401
    assert (await ada.client.get("/web/sessions")).status_code == 200


async def test_wrong_passwords_read_alike_and_are_slowed(site: Site) -> None:
    await site.person("Ada")
    page = site.page()
    bodies = set()
    for email in ("ada@example.org", "nobody@example.org"):
        response = await page.post("/web/sign-in", json={"email": email, "password": "four other words"})
        assert response.status_code == 401 and "set-cookie" not in response.headers
        bodies.add(response.text)
    assert len(bodies) == 1
    for _ in range(5):
        response = await page.post("/web/sign-in", json={"email": "ada@example.org", "password": "four other words"})
    assert response.status_code == 429
    assert 1 <= int(response.headers["retry-after"]) <= 60 and response.json()["code"] == "too_many_attempts"


async def test_a_forged_or_ended_cookie_is_taken_away(site: Site) -> None:
    ada = await site.person("Ada")
    await ada.ask("POST", "/web/sign-out")
    for token in (ada.token, "a" * 43, "x"):
        page = site.page(token)
        assert (await page.get("/web/sessions")).status_code == 401
        response = await page.get("/web/session")
        assert response.json()["signed_in"] is False
        assert f"{PLAIN_NAME}=;" in response.headers["set-cookie"] and "Max-Age=0" in response.headers["set-cookie"]
    assert "set-cookie" not in (await site.page().get("/web/session")).headers


async def test_an_expired_cookie_opens_nothing(site: Site) -> None:
    ada = await site.person("Ada")
    site.clock.pass_ns(14 * 86_400 * 10**9)
    assert (await ada.client.get("/web/sessions")).status_code == 401
    assert (await ada.client.get("/web/session")).json()["signed_in"] is False


async def test_signing_out_ends_this_browser_or_all(site: Site) -> None:
    ada = await site.person("Ada")
    phone = site.page()
    csrf = (await phone.post("/web/sign-in", json=ADA)).json()["csrf"]
    response = await ada.client.post("/web/sign-out")
    assert response.status_code == 204 and "Max-Age=0" in response.headers["set-cookie"]
    assert (await site.page(ada.token).get("/web/sessions")).status_code == 401
    assert (await phone.get("/web/sessions")).status_code == 200
    await phone.post("/web/sign-out-everywhere", headers={"x-tramontane-csrf": csrf})
    assert (await phone.get("/web/sessions")).status_code == 401


async def test_one_sees_ones_browsers_and_ends_them_one_by_one(site: Site) -> None:
    ada, eve = await site.person("Ada"), await site.person("Eve")
    phone = site.page()
    await phone.post("/web/sign-in", json=ADA, headers={"user-agent": "<script>alert(1)</script>"})
    _, rows = await ada.ask("GET", "/web/sessions")
    assert {row["agent"] for row in rows} == {"a test's browser", "<script>alert(1)</script>"}
    assert [row["current"] for row in rows].count(True) == 1
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["seen_at"]) for row in rows)
    other = next(row["id"] for row in rows if not row["current"])
    assert (await eve.ask("DELETE", f"/web/sessions/{other}"))[0] == 404
    assert (await ada.ask("DELETE", f"/web/sessions/{other}"))[0] == 204
    assert (await phone.get("/web/sessions")).status_code == 401
    assert (await ada.ask("DELETE", f"/web/sessions/{ada.session_id}"))[0] == 204
    assert (await ada.client.get("/web/session")).json()["signed_in"] is False


async def test_switching_workspaces(site: Site) -> None:
    ada = await site.person("Ada", "administrator")
    assert (await ada.ask("POST", "/web/workspace", {"workspace_id": site.other.workspace_id}))[0] == 404
    site.places.join(site.other, ada.person_id, "member")
    status, body = await ada.ask("POST", "/web/workspace", {"workspace_id": site.other.workspace_id})
    assert status == 200 and body["workspace"] == {"id": site.other.workspace_id, "name": "other", "role": "member"}
    assert {place["name"]: place["role"] for place in body["workspaces"]} == {
        "mine": "administrator",
        "other": "member",
    }
    assert (await ada.ask("GET", "/web/people"))[0] == 403
    assert (await ada.ask("POST", "/web/workspaces", {"name": "third"}))[0] == 403


async def test_people_change_their_name_language_theme_and_password(site: Site) -> None:
    ada = await site.person("Ada")
    change = {"name": "<img src=x onerror=alert(1)>", "language": "fr", "theme": "dark"}
    status, body = await ada.ask("PATCH", "/web/person", change)
    assert status == 200 and change.items() <= body["person"].items()
    status, body = await ada.ask("PATCH", "/web/person", {"theme": None})
    assert body["person"]["theme"] is None and body["person"]["language"] == "fr"
    for wrong in ({"name": ""}, {"language": "de"}, {"email": "eve@example.org"}, {"theme": "blue"}):
        assert (await ada.ask("PATCH", "/web/person", wrong))[0] == 422
    status, body = await ada.ask("POST", "/web/password", {"current": "no", "new": "another four words"})
    assert (status, body["param"]) == (422, "current")
    status, body = await ada.ask("POST", "/web/password", {"current": PASSWORD, "new": "short"})
    assert (status, body["param"]) == (422, "password")
    assert (await ada.ask("POST", "/web/password", {"current": PASSWORD, "new": "another four words"}))[0] == 204
    assert (await site.page().post("/web/sign-in", json=ADA)).status_code == 401
    assert (await ada.ask("GET", "/web/sessions"))[0] == 200
