"""What administrators do with people, what nobody else may, and that ids of other workspaces are no ids at all."""

import pytest
from tests.entrypoints.web.conftest import Page, Site
from tests.fakes.accounts import PASSWORD

from tramontane.foundation.nouns import Caller
from tramontane.records.access import NewKey


async def test_people_come_change_and_go(site: Site) -> None:
    boss = await site.person("Boss", "administrator")
    status, made = await boss.ask("POST", "/web/invitations", {"role": "member", "email": "Ada@example.org"})
    assert status == 201
    assert made["link_path"] == f"/join#{made['secret']}" and made["email"] == "ada@example.org"
    _, listed = await boss.ask("GET", "/web/invitations")
    assert [one["id"] for one in listed] == [made["id"]] and "secret" not in listed[0] and "link_path" not in listed[0]
    page = site.page()
    script = "<script>alert('Ada')</script>"
    joined = await page.post(
        "/web/invitation/accept", json={"secret": made["secret"], "name": script, "password": PASSWORD}
    )
    assert joined.json()["person"]["name"] == script and joined.headers["content-type"] == "application/json"
    _, people = await boss.ask("GET", "/web/people")
    ada = next(one for one in people if one["name"] == script)
    assert ada["role"] == "member" and ada["email"] == "ada@example.org" and ada["joined_at"] and ada["seen_at"]
    status, changed = await boss.ask("PATCH", f"/web/people/{ada['id']}", {"role": "builder"})
    assert status == 200 and changed["role"] == "builder"
    assert (await page.get("/web/session")).json()["workspace"]["role"] == "builder"
    site.keys.create(site.here, NewKey(name="adas"), created_by=ada["id"])
    assert await boss.ask("DELETE", f"/web/people/{ada['id']}") == (200, {"revoked_keys": ["adas"]})
    assert (await page.get("/web/sessions")).status_code == 401
    assert (await page.get("/web/session")).json()["signed_in"] is False


async def test_the_last_administrator_stays(site: Site) -> None:
    boss = await site.person("Boss", "administrator")
    for method, body in (("PATCH", {"role": "member"}), ("DELETE", None)):
        status, answer = await boss.ask(method, f"/web/people/{boss.person_id}", body)
        assert status == 409 and answer["code"] == "last_administrator"


async def test_a_reset_link_gives_a_new_password(site: Site) -> None:
    boss, ada = await site.person("Boss", "administrator"), await site.person("Ada")
    status, made = await boss.ask("POST", f"/web/people/{ada.person_id}/reset")
    assert status == 201 and made["link_path"] == f"/join#{made['secret']}" and made["expires_at"]
    page = site.page()
    looked = (await page.post("/web/invitation/look", json={"secret": made["secret"]})).json()
    assert (looked["kind"], looked["email"]) == ("password_reset", "ada@example.org")
    new = {"secret": made["secret"], "password": "another four words"}
    assert (await page.post("/web/invitation/accept", json=new)).json()["person"]["id"] == ada.person_id
    assert (await ada.client.get("/web/sessions")).status_code == 401


async def test_an_invitation_can_be_ended(site: Site) -> None:
    boss = await site.person("Boss", "administrator")
    _, made = await boss.ask("POST", "/web/invitations", {"role": "member"})
    assert (await boss.ask("DELETE", f"/web/invitations/{made['id']}"))[0] == 204
    assert (await boss.ask("DELETE", f"/web/invitations/{made['id']}"))[0] == 404
    closed = await site.page().post("/web/invitation/look", json={"secret": made["secret"]})
    never = await site.page().post("/web/invitation/look", json={"secret": "a" * 43})
    assert closed.status_code == never.status_code == 404 and closed.text == never.text


async def test_who_is_signed_in_joins_with_their_own_account(site: Site) -> None:
    boss = await site.person("Boss", "administrator", site.other)
    ada = await site.person("Ada")
    _, made = await boss.ask("POST", "/web/invitations", {"role": "builder"})
    status, body = await ada.ask("POST", "/web/invitation/accept", {"secret": made["secret"]})
    assert status == 200 and body["person"]["id"] == ada.person_id
    assert body["workspace"]["name"] == "other" and len(body["workspaces"]) == 2


async def test_a_page_without_the_token_joins_as_nobody_signed_in(site: Site) -> None:
    boss = await site.person("Boss", "administrator", site.other)
    ada = await site.person("Ada")
    _, made = await boss.ask("POST", "/web/invitations", {"role": "builder"})
    forged = await site.page(ada.token).post("/web/invitation/accept", json={"secret": made["secret"]})
    assert forged.status_code == 422 and forged.json()["param"] == "password"


STRANGERS = [
    ("PATCH", "/web/people/{person}", {"role": "member"}),
    ("DELETE", "/web/people/{person}", None),
    ("POST", "/web/people/{person}/reset", None),
    ("DELETE", "/web/invitations/{invitation}", None),
    ("DELETE", "/web/sessions/{session}", None),
    ("POST", "/web/workspace", {"workspace_id": "{workspace}"}),
]


@pytest.mark.parametrize(("method", "path", "body"), STRANGERS)
async def test_a_stranger_gets_404_as_for_what_never_was(
    site: Site, method: str, path: str, body: dict[str, str] | None
) -> None:
    boss, ada = await site.person("Boss", "administrator"), await site.person("Ada")
    eve = await site.person("Eve", "administrator", site.other)
    _, made = await boss.ask("POST", "/web/invitations", {"role": "member"})
    real = {
        "person": ada.person_id, "invitation": made["id"], "session": ada.session_id,
        "workspace": site.here.workspace_id,
    }  # fmt: skip
    absent = {name: value[:-3] + "xyz" for name, value in real.items()}

    async def ask(ids: dict[str, str]) -> tuple[int, str]:
        filled = {name: value.format(**ids) for name, value in (body or {}).items()}
        status, answer = await eve.ask(method, path.format(**ids), filled if body is not None else None)
        told = str(answer)
        for value in ids.values():
            told = told.replace(value, "ID")
        return status, told

    assert await ask(real) == await ask(absent)
    assert (await ask(real))[0] == 404
    assert (await ada.ask("GET", "/web/sessions"))[0] == 200
    assert len((await boss.ask("GET", "/web/people"))[1]) == 2


async def test_members_and_builders_administer_nobody(site: Site) -> None:
    boss = await site.person("Boss", "administrator")
    pages: list[Page] = [await site.person("Mia"), await site.person("Bob", "builder")]
    for page in pages:
        for method, path, body in (
            ("GET", "/web/people", None), ("PATCH", f"/web/people/{page.person_id}", {"role": "administrator"}),
            ("DELETE", f"/web/people/{boss.person_id}", None), ("POST", f"/web/people/{boss.person_id}/reset", None),
            ("GET", "/web/invitations", None), ("POST", "/web/invitations", {"role": "administrator"}),
            ("DELETE", "/web/invitations/inv_x", None), ("POST", "/web/workspaces", {"name": "mine too"}),
        ):  # fmt: skip
            assert (await page.ask(method, path, body))[0] == 403, (method, path)


async def test_what_a_person_makes_by_cookie_and_by_key_is_theirs(site: Site) -> None:
    ada = await site.person("Ada", "builder")
    by_cookie = (await site.accounts.sessions.signed_in(ada.token)).caller
    by_key = Caller(organisation_id="o", workspace_id="w", principal_id="k", key_id="k", person_id=ada.person_id)
    assert by_cookie.owner_id == by_key.owner_id == ada.person_id
