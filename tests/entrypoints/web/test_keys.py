"""Keys in the browser: made with no more rights than one has, their secret told once, seen and ended by whom they concern."""

from functools import partial

import pytest
from tests.entrypoints.web.conftest import Site
from tests.fakes.doors import fake_doors

from tramontane.entrypoints import web
from tramontane.entrypoints.api import build_app
from tramontane.entrypoints.web import WebDoors
from tramontane.entrypoints.web.answers import moment
from tramontane.foundation.errors import Unauthenticated
from tramontane.foundation.store.database import Database
from tramontane.records.access import Callers
from tramontane.records.access.nouns import NewKey

HOUR_NS = 3600 * 10**9


async def test_a_secret_is_told_once_and_opens_as_its_maker(site: Site, database: Database) -> None:
    bob = await site.person("Bob", "builder")
    status, made = await bob.ask("POST", "/web/keys", {"name": "ci", "rights": ["inference", "usage"]})
    assert status == 201 and made["secret"].startswith("tm_") and made["created_by"] == "Bob"
    _, listed = await bob.ask("GET", "/web/keys")
    assert [key["name"] for key in listed] == ["ci"] and "secret" not in listed[0]
    assert made["secret"] not in str(listed)
    caller = await Callers(database, site.clock).caller_for(made["secret"])
    assert caller.person_id == bob.person_id and caller.roles == {"inference", "usage"}
    assert caller.workspace_id == site.here.workspace_id


async def test_members_have_no_keys(site: Site) -> None:
    mia = await site.person("Mia")
    for method, path in (("GET", "/web/keys"), ("POST", "/web/keys"), ("DELETE", "/web/keys/x")):
        assert (await mia.ask(method, path, {"name": "x"}))[0] == 403, method


async def test_nobody_gives_more_rights_than_they_have(site: Site) -> None:
    bob = await site.person("Bob", "builder")
    assert (await bob.ask("POST", "/web/keys", {"name": "x", "rights": ["admin"]}))[0] == 403
    ada = await site.person("Ada", "administrator")
    assert (await ada.ask("POST", "/web/keys", {"name": "x", "rights": ["admin"]}))[0] == 201


async def test_builders_see_and_end_their_own_and_administrators_all(site: Site) -> None:
    bob, ben = await site.person("Bob", "builder"), await site.person("Ben", "builder")
    ada, eve = await site.person("Ada", "administrator"), await site.person("Eve", "administrator", site.other)
    site.keys.create(site.here, NewKey(name="terminal"))
    of_bob = (await bob.ask("POST", "/web/keys", {"name": "of-bob"}))[1]["id"]
    of_ben = (await ben.ask("POST", "/web/keys", {"name": "of-ben"}))[1]["id"]
    assert [key["name"] for key in (await bob.ask("GET", "/web/keys"))[1]] == ["of-bob"]
    shown = {key["name"]: key["created_by"] for key in (await ada.ask("GET", "/web/keys"))[1]}
    assert shown == {"of-bob": "Bob", "of-ben": "Ben", "terminal": None}
    assert (await eve.ask("GET", "/web/keys"))[1] == []
    for stranger in (bob, eve):
        status, found = await stranger.ask("DELETE", f"/web/keys/{of_ben}")
        never = (await stranger.ask("DELETE", "/web/keys/never-was"))[1]
        assert status == 404 and found["message"].replace(of_ben, "never-was") == never["message"]
    assert (await bob.ask("DELETE", f"/web/keys/{of_bob}"))[0] == 204
    assert (await bob.ask("DELETE", f"/web/keys/{of_bob}"))[0] == 204
    assert (await ada.ask("DELETE", f"/web/keys/{of_ben}"))[0] == 204
    assert all(key["revoked_at"] for key in (await ada.ask("GET", "/web/keys"))[1] if key["name"] != "terminal")


async def test_an_ended_key_opens_nothing_from_that_moment(site: Site, database: Database) -> None:
    callers = Callers(database, site.clock)
    browser = WebDoors(
        accounts=site.accounts, database=database, default_model="fake", clock=site.clock, forget_key=callers.forget
    )
    doors = fake_doors(sessions=site.accounts.sessions.signed_in, more=(partial(web.add_routes, web=browser),))
    ada = await site._replace(app=build_app(doors)).person("Ada", "administrator")
    _, made = await ada.ask("POST", "/web/keys", {"name": "x"})
    await callers.caller_for(made["secret"])
    await ada.ask("DELETE", f"/web/keys/{made['id']}")
    with pytest.raises(Unauthenticated):
        await callers.caller_for(made["secret"])


async def test_an_end_is_changed_by_whom_the_key_concerns(site: Site, database: Database) -> None:
    bob, ben = await site.person("Bob", "builder"), await site.person("Ben", "builder")
    ada, eve = await site.person("Ada", "administrator"), await site.person("Eve", "administrator", site.other)
    mia = await site.person("Mia")
    _, made = await bob.ask("POST", "/web/keys", {"name": "ci", "expires_at": "2100-01-01T00:00:00Z"})
    path = f"/web/keys/{made['id']}"
    for page, end in ((bob, "2101-01-01T00:00:00.000Z"), (ada, None)):
        status, changed = await page.ask("PATCH", path, {"expires_at": end})
        assert (status, changed["expires_at"], "secret" in changed) == (200, end, False)
        assert (await bob.ask("GET", "/web/keys"))[1][0]["expires_at"] == end
    for stranger in (ben, eve):
        status, found = await stranger.ask("PATCH", path, {"expires_at": None})
        never = await stranger.ask("PATCH", "/web/keys/never-was", {"expires_at": None})
        assert status == 404 and found["message"].replace(made["id"], "never-was") == never[1]["message"]
    assert (await mia.ask("PATCH", path, {"expires_at": None}))[0] == 403
    for body in ({}, {"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "soon"}, {"expires_at": None, "name": "x"}):
        assert (await bob.ask("PATCH", path, body))[0] == 422, body
    await bob.ask("DELETE", path)
    assert (await bob.ask("PATCH", path, {"expires_at": None}))[0] == 409


async def test_a_changed_end_counts_from_that_moment(site: Site, database: Database) -> None:
    callers = Callers(database, site.clock, ttl_ns=10**15)
    browser = WebDoors(
        accounts=site.accounts, database=database, default_model="fake", clock=site.clock, forget_key=callers.forget
    )
    doors = fake_doors(sessions=site.accounts.sessions.signed_in, more=(partial(web.add_routes, web=browser),))
    ada = await site._replace(app=build_app(doors)).person("Ada", "administrator")
    ends_ns = site.clock.now_ns() + 2 * HOUR_NS
    _, made = await ada.ask("POST", "/web/keys", {"name": "x", "expires_at": moment(ends_ns)})
    await callers.caller_for(made["secret"])
    await ada.ask("PATCH", f"/web/keys/{made['id']}", {"expires_at": moment(ends_ns - HOUR_NS)})
    site.clock.pass_ns(HOUR_NS)
    with pytest.raises(Unauthenticated, match="expired"):
        await callers.caller_for(made["secret"])


async def test_a_key_limited_to_models_shows_them(site: Site, database: Database) -> None:
    bob = await site.person("Bob", "builder")
    _, made = await bob.ask("POST", "/web/keys", {"name": "ci", "models": ["tiny", "small", "tiny"]})
    assert made["models"] == ["small", "tiny"] == (await bob.ask("GET", "/web/keys"))[1][0]["models"]
    assert (await Callers(database, site.clock).caller_for(made["secret"])).models == {"small", "tiny"}
    _, free = await bob.ask("POST", "/web/keys", {"name": "free"})
    assert free["models"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "\x00"), ("name", "a" * 101), ("rights", []), ("rights", ["root"]), ("rights", "admin"),
        ("expires_at", "2020-01-01T00:00:00Z"), ("expires_at", "2030-01-01T00:00:00"), ("expires_at", "9999-01-01T00:00:00Z"),
        ("expires_at", "soon"), ("requests_per_minute", 0), ("requests_per_minute", 2**60), ("tokens_per_minute", -1),
        ("models", []), ("models", ["a b"]), ("models", "tiny"), ("models", [1]),
        ("colour", "red"),
    ],
)  # fmt: skip
async def test_a_field_that_cannot_be_is_named(site: Site, field: str, value: object) -> None:
    bob = await site.person("Bob", "builder")
    status, body = await bob.ask("POST", "/web/keys", {"name": "x", field: value})
    assert status == 422, body
    assert field.split("_")[0] in str(body["detail"])
    assert (await bob.ask("GET", "/web/keys"))[1] == []


async def test_script_in_a_name_comes_back_as_text(site: Site) -> None:
    bob = await site.person("Bob", "builder")
    name = "<img src=x onerror=alert(1)>"
    await bob.ask("POST", "/web/keys", {"name": name})
    response = await bob.client.get("/web/keys")
    assert response.json()[0]["name"] == name and response.headers["content-type"] == "application/json"
    assert (await bob.ask("POST", "/web/keys", {"name": name}))[0] == 409
