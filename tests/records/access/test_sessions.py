"""A session opens what its person may, for as long as it may, and nothing a moment (two seconds) longer."""

import hashlib

import pytest
from sqlalchemy import text
from tests.fakes.accounts import quick_accounts, signed_in
from tests.records.access.conftest import World

from tramontane.foundation.errors import NotFound, Unauthenticated
from tramontane.records.access import Accounts

DAY_NS = 86_400 * 10**9
TWO_SECONDS_NS = 2 * 10**9


@pytest.fixture
def accounts(world: World) -> Accounts:
    return quick_accounts(world.database, world.clock, world.mine.organisation_id)


async def test_the_caller_is_the_person_in_the_workspace(world: World, accounts: Accounts) -> None:
    found = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada", "administrator"))
    caller = found.caller
    assert (caller.organisation_id, caller.workspace_id) == (world.mine.organisation_id, world.mine.workspace_id)
    assert caller.person_id == caller.principal_id == caller.owner_id == found.person.person_id
    assert (caller.key_id, caller.weight) == (None, 3)
    assert caller.roles == {"inference", "usage", "admin", "administrator"}
    assert (found.person.name, found.person.email, found.role) == ("Ada", "ada@example.org", "administrator")
    for role in ("builder", "member"):
        other = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, role, role))  # type: ignore[arg-type]
        assert other.caller.roles == {"inference", "usage", role}


async def test_every_reason_to_refuse_reads_the_same(world: World, accounts: Accounts) -> None:
    good = await signed_in(accounts, world.mine, "Ada")
    ended = await signed_in(accounts, world.mine, "Bob")
    await accounts.sessions.leave(await accounts.sessions.signed_in(ended))
    flipped = good[:-1] + ("A" if good[-1] != "A" else "B")
    words = set()
    for token in ["", " ", "x", "a" * 43, "é" * 43, "x" * 10_000, good + "=", " " + good, flipped, ended, good.lower()]:
        with pytest.raises(Unauthenticated) as refusal:
            await accounts.sessions.signed_in(token)
        words.add((refusal.value.message, refusal.value.code))
    assert len(words) == 1
    await accounts.sessions.signed_in(good)


async def test_the_database_holds_no_token(world: World, accounts: Accounts) -> None:
    token = await signed_in(accounts, world.mine, "Ada")
    found = await accounts.sessions.signed_in(token)
    with world.database.read() as connection:
        row = connection.execute(text("SELECT * FROM web_session")).one()
    kept = [bytes(value) if isinstance(value, memoryview | bytes) else str(value).encode() for value in row]
    assert hashlib.sha256(token.encode()).digest() in kept
    assert all(token.encode() not in value and found.csrf.encode() not in value for value in kept)
    assert token not in found.csrf


async def test_idle_and_absolute_limits(world: World, accounts: Accounts) -> None:
    idle = await signed_in(accounts, world.mine, "Ada")
    used = await signed_in(accounts, world.mine, "Bob")
    for _ in range(6):
        world.clock.pass_ns(13 * DAY_NS)
        await accounts.sessions.signed_in(used)
    with pytest.raises(Unauthenticated):
        await accounts.sessions.signed_in(idle)
    await accounts.sessions.close()
    again = quick_accounts(world.database, world.clock, world.mine.organisation_id)
    world.clock.pass_ns(12 * DAY_NS - 1)
    await again.sessions.signed_in(used)
    world.clock.pass_ns(1)
    with pytest.raises(Unauthenticated):
        await again.sessions.signed_in(used)
    await again.sessions.end_overdue()
    with world.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM web_session")).scalar_one() == 0


async def test_an_end_made_elsewhere_counts_within_two_seconds(world: World, accounts: Accounts) -> None:
    token = await signed_in(accounts, world.mine, "Ada")
    found = await accounts.sessions.signed_in(token)
    elsewhere = quick_accounts(world.database, world.clock, world.mine.organisation_id)
    await elsewhere.sessions.end(found.person, found.session_id)
    world.clock.pass_ns(TWO_SECONDS_NS)
    with pytest.raises(Unauthenticated):
        await accounts.sessions.signed_in(token)


async def test_who_was_removed_loses_the_workspace_within_two_seconds(world: World, accounts: Accounts) -> None:
    await signed_in(accounts, world.mine, "Ada", "administrator")
    token = await signed_in(accounts, world.mine, "Bob")
    found = await accounts.sessions.signed_in(token)
    quick_accounts(world.database, world.clock, world.mine.organisation_id).people.remove(
        world.mine, found.person.person_id
    )
    world.clock.pass_ns(TWO_SECONDS_NS)
    with pytest.raises(Unauthenticated):
        await accounts.sessions.signed_in(token)
    assert await accounts.sessions.recover(token) is None
    with pytest.raises(Unauthenticated):
        await accounts.sessions.signed_in(token)


async def test_who_has_another_workspace_goes_on_there(world: World, accounts: Accounts) -> None:
    await signed_in(accounts, world.mine, "Ada", "administrator")
    token = await signed_in(accounts, world.mine, "Bob")
    found = await accounts.sessions.signed_in(token)
    world.places.join(world.sibling, found.person.person_id, "builder")
    accounts.people.remove(world.mine, found.person.person_id)
    accounts.sessions.forget(found.person.person_id)
    with pytest.raises(Unauthenticated):
        await accounts.sessions.signed_in(token)
    moved = await accounts.sessions.recover(token)
    assert moved is not None and moved.workspace.name == "sibling" and moved.role == "builder"
    assert (await accounts.sessions.signed_in(token)).caller.workspace_id == world.sibling.workspace_id


async def test_a_new_role_counts_within_two_seconds(world: World, accounts: Accounts) -> None:
    token = await signed_in(accounts, world.mine, "Ada")
    found = await accounts.sessions.signed_in(token)
    accounts.people.set_role(world.mine, found.person.person_id, "builder")
    world.clock.pass_ns(TWO_SECONDS_NS)
    assert "builder" in (await accounts.sessions.signed_in(token)).caller.roles


async def test_switching_goes_to_ones_own_workspaces_only(world: World, accounts: Accounts) -> None:
    token = await signed_in(accounts, world.mine, "Ada")
    found = await accounts.sessions.signed_in(token)
    for place in (world.sibling.workspace_id, world.foreign.workspace_id, "ws_none", ""):
        with pytest.raises(NotFound):
            await accounts.sessions.switch(found, place)
    world.places.join(world.sibling, found.person.person_id, "member")
    await accounts.sessions.switch(found, world.sibling.workspace_id)
    assert (await accounts.sessions.signed_in(token)).workspace.name == "sibling"


async def test_one_sees_and_ends_ones_own_sessions_only(world: World, accounts: Accounts) -> None:
    ada = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada"))
    other = await accounts.sessions.begin(world.mine, ada.person.person_id, "Phone\x00\u202e\n of Ada")
    eve = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Eve"))
    assert {one.agent for one in await accounts.sessions.listed(ada.person)} == {
        "a test's browser",
        "Phone\u202e of Ada",
    }
    for session_id in (ada.session_id, "ses_none", ""):
        with pytest.raises(NotFound) as refusal:
            await accounts.sessions.end(eve.person, session_id)
        assert refusal.value.message == f"you have no session {session_id!r}"
    await accounts.sessions.end_all(ada.person, but=ada.session_id)
    assert [one.session_id for one in await accounts.sessions.listed(ada.person)] == [ada.session_id]
    with pytest.raises(Unauthenticated):
        await accounts.sessions.signed_in(other)


async def test_last_use_is_written_off_the_path(world: World, accounts: Accounts) -> None:
    token = await signed_in(accounts, world.mine, "Ada")
    world.clock.pass_ns(DAY_NS)
    found = await accounts.sessions.signed_in(token)
    before = (await accounts.sessions.listed(found.person))[0].seen_ns
    await accounts.sessions.close()
    assert (await accounts.sessions.listed(found.person))[0].seen_ns == before + DAY_NS
