"""One-time links: used once even in a race, over after their time, ended by hand, and of use to nobody who reads the database."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from tests.fakes.accounts import PASSWORD, quick_accounts, signed_in
from tests.records.access.conftest import World

from tramontane.foundation.errors import BadRequest, Conflict, Forbidden, InvalidFields, NotFound, Unauthenticated
from tramontane.records.access import Accounts
from tramontane.records.access.accounts import Wish
from tramontane.records.access.invitations import Newcomer

WEEK_NS = 7 * 86_400 * 10**9


@pytest.fixture
def accounts(world: World) -> Accounts:
    return quick_accounts(world.database, world.clock, world.mine.organisation_id)


def wish(secret: str, name: str = "Ada", **fields: str) -> Wish:
    return Wish(**{"secret": secret, "name": name, "email": f"{name}@Example.org", "password": PASSWORD, **fields})  # type: ignore[arg-type]


async def test_a_link_works_once(world: World, accounts: Accounts) -> None:
    made = accounts.invitations.invite(world.mine, "builder")
    offer = await accounts.look(made.secret)
    assert (offer.invitation.kind, offer.invitation.role) == ("invitation", "builder")
    assert (offer.organisation_name, offer.workspace_name, offer.email) == ("ours", "mine", None)
    assert made.path == f"/join#{made.secret}"
    found = await accounts.sessions.signed_in(await accounts.join(wish(made.secret), None, ""))
    assert (found.person.name, found.person.email, found.role) == ("Ada", "ada@example.org", "builder")
    for act in (accounts.look(made.secret), accounts.join(wish(made.secret, "Bob"), None, "")):
        with pytest.raises(NotFound) as refusal:
            await act
        assert refusal.value.code == "link_closed"
    assert accounts.invitations.pending(world.mine) == []


def test_of_many_who_open_it_at_once_one_gets_in(world: World, accounts: Accounts) -> None:
    made = accounts.invitations.invite(world.mine, "member")

    def take(number: int) -> bool:
        newcomer = Newcomer(name=f"P{number}", email=f"p{number}@example.org", password_hash="x")
        try:
            accounts.invitations.take_up(made.secret, newcomer)
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(6))) == 1
    assert len(accounts.people.seats(world.mine)) == 1


def test_of_many_first_administrators_one_is_the_first(world: World, accounts: Accounts) -> None:
    made = accounts.invitations.first(world.mine)
    assert made is not None

    def take(number: int) -> bool:
        newcomer = Newcomer(name=f"P{number}", email=f"p{number}@example.org", password_hash="x")
        try:
            accounts.invitations.take_up(made.secret, newcomer)
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(6))) == 1
    assert accounts.invitations.first(world.mine) is None


async def test_each_start_makes_a_new_first_link_and_ends_the_old(world: World, accounts: Accounts) -> None:
    assert await accounts.first_start()
    old, new = accounts.invitations.first(world.mine), accounts.invitations.first(world.mine)
    assert old is not None and new is not None
    world.clock.pass_ns(100 * WEEK_NS)
    with pytest.raises(NotFound):
        await accounts.look(old.secret)
    offer = await accounts.look(new.secret)
    assert (offer.invitation.kind, offer.invitation.expires_ns) == ("first_administrator", None)
    found = await accounts.sessions.signed_in(await accounts.join(wish(new.secret), None, ""))
    assert found.role == "administrator"
    assert not await accounts.first_start()
    assert accounts.invitations.first(world.mine) is None


async def test_a_first_link_left_over_makes_nobody_once_somebody_is_in(world: World, accounts: Accounts) -> None:
    left = accounts.invitations.first(world.mine)
    assert left is not None
    await signed_in(accounts, world.mine, "Ada", "administrator")
    with pytest.raises(NotFound):
        await accounts.join(wish(left.secret, "Eve"), None, "")


async def test_a_link_ends_after_a_week_or_by_hand(world: World, accounts: Accounts) -> None:
    revoked = accounts.invitations.invite(world.mine, "member", email="Bob@Example.org")
    world.clock.pass_ns(1)
    lasting = accounts.invitations.invite(world.mine, "member")
    assert [one.email for one in accounts.invitations.pending(world.mine)] == ["bob@example.org", None]
    for stranger in (world.sibling, world.foreign):
        assert accounts.invitations.pending(stranger) == []
        with pytest.raises(NotFound):
            accounts.invitations.revoke(stranger, revoked.invitation.invitation_id)
    accounts.invitations.revoke(world.mine, revoked.invitation.invitation_id)
    with pytest.raises(NotFound):
        accounts.invitations.revoke(world.mine, revoked.invitation.invitation_id)
    with pytest.raises(NotFound):
        await accounts.look(revoked.secret)
    world.clock.pass_ns(WEEK_NS - 1)
    await accounts.look(lasting.secret)
    world.clock.pass_ns(1)
    with pytest.raises(NotFound):
        await accounts.look(lasting.secret)
    for secret in ("", "x", "a" * 43, "é" * 43, lasting.secret + "x", "' OR 1=1 --"):
        with pytest.raises(NotFound):
            await accounts.look(secret)


def test_the_database_holds_no_secret(world: World, accounts: Accounts) -> None:
    made = accounts.invitations.invite(world.mine, "member")
    with world.database.read() as connection:
        row = connection.execute(text("SELECT * FROM invitation")).one()
    kept = [bytes(value) if isinstance(value, memoryview | bytes) else str(value).encode() for value in row]
    assert all(made.secret.encode() not in value for value in kept)


async def test_a_link_for_one_address_is_for_that_address(world: World, accounts: Accounts) -> None:
    made = accounts.invitations.invite(world.mine, "member", email="ada@example.org")
    with pytest.raises(BadRequest):
        await accounts.join(wish(made.secret, "Eve"), None, "")
    eve = await accounts.sessions.signed_in(await signed_in(accounts, world.sibling, "Eve"))
    with pytest.raises(Conflict):
        await accounts.join(Wish(secret=made.secret), eve, "")
    found = await accounts.sessions.signed_in(
        await accounts.join(Wish(secret=made.secret, name="Ada", password=PASSWORD), None, "")
    )
    assert found.person.email == "ada@example.org"


async def test_nobody_becomes_somebody_who_is_there(world: World, accounts: Accounts) -> None:
    await signed_in(accounts, world.mine, "Ada", "administrator")
    made = accounts.invitations.invite(world.sibling, "member")
    with pytest.raises(Conflict) as refusal:
        await accounts.join(wish(made.secret, "Ada", password="another four words"), None, "")
    assert refusal.value.code == "sign_in_first"
    await accounts.look(made.secret)
    await accounts.sign_in("ada@example.org", PASSWORD, "192.0.2.1", "")


async def test_who_is_signed_in_joins_as_themselves(world: World, accounts: Accounts) -> None:
    ada = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada"))
    made = accounts.invitations.invite(world.sibling, "builder")
    found = await accounts.sessions.signed_in(await accounts.join(Wish(secret=made.secret), ada, ""))
    assert found.person == ada.person
    assert (found.workspace.name, found.role) == ("sibling", "builder")
    again = accounts.invitations.invite(world.sibling, "administrator")
    with pytest.raises(Conflict):
        await accounts.join(Wish(secret=again.secret), ada, "")
    await accounts.look(again.secret)


async def test_missing_and_odd_fields_are_named_before_the_link_is_used(world: World, accounts: Accounts) -> None:
    made = accounts.invitations.invite(world.mine, "member")
    for fields, named in (
        ({"name": None}, "name"), ({"email": None}, "email"), ({"password": None}, "password"),
        ({"email": "no address"}, "email"), ({"email": "a@b@c"}, "email"), ({"email": "@x"}, "email"),
        ({"name": " ", "email": "ada@example.org"}, "name"),
        ({"password": "short"}, "password"), ({"email": "x" * 260 + "@a.b"}, "email"),
    ):  # fmt: skip
        with pytest.raises(InvalidFields) as refusal:
            await accounts.join(wish(made.secret, **fields), None, "")  # type: ignore[arg-type]
        assert refusal.value.param == named
    await accounts.look(made.secret)
    with pytest.raises(InvalidFields):
        accounts.invitations.invite(world.mine, "king")  # type: ignore[arg-type]


async def test_a_new_password_ends_every_session_and_the_old_password(world: World, accounts: Accounts) -> None:
    token = await signed_in(accounts, world.mine, "Ada")
    ada = (await accounts.sessions.signed_in(token)).person
    replaced = accounts.invitations.reset(world.mine, ada.person_id)
    made = accounts.invitations.reset(world.mine, ada.person_id)
    with pytest.raises(NotFound):
        await accounts.look(replaced.secret)
    offer = await accounts.look(made.secret)
    assert (offer.invitation.kind, offer.email) == ("password_reset", "ada@example.org")
    assert accounts.invitations.pending(world.mine) == []
    new = await accounts.join(Wish(secret=made.secret, password="another four words"), None, "")
    assert (await accounts.sessions.signed_in(new)).person == ada
    with pytest.raises(Unauthenticated):
        await accounts.sessions.signed_in(token)
    with pytest.raises(Unauthenticated):
        await accounts.sign_in("ada@example.org", PASSWORD, "192.0.2.1", "")
    await accounts.sign_in("ada@example.org", "another four words", "192.0.2.1", "")


async def test_an_administrator_takes_nobody_over_who_is_elsewhere_too(world: World, accounts: Accounts) -> None:
    boss = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Boss", "administrator"))
    ada = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada"))
    accounts.invitations.reset(world.mine, ada.person.person_id, by=boss.person.person_id)
    world.places.join(world.sibling, ada.person.person_id, "administrator")
    with pytest.raises(Forbidden):
        accounts.invitations.reset(world.mine, ada.person.person_id, by=boss.person.person_id)
    world.places.join(world.sibling, boss.person.person_id, "administrator")
    accounts.invitations.reset(world.mine, ada.person.person_id, by=boss.person.person_id)


async def test_a_reset_is_of_no_use_once_its_person_has_left(world: World, accounts: Accounts) -> None:
    await signed_in(accounts, world.mine, "Boss", "administrator")
    ada = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada"))
    made = accounts.invitations.reset(world.mine, ada.person.person_id)
    accounts.people.remove(world.mine, ada.person.person_id)
    with pytest.raises(NotFound):
        await accounts.join(Wish(secret=made.secret, password="another four words"), None, "")


async def test_a_reset_kept_until_its_person_has_joined_elsewhere_is_of_no_use(
    world: World, accounts: Accounts
) -> None:
    """Else its holder would sign in as that person where the maker of the link administers nothing."""
    boss = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Boss", "administrator"))
    ada = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada"))
    made = accounts.invitations.reset(world.mine, ada.person.person_id, by=boss.person.person_id)
    world.places.join(world.sibling, ada.person.person_id, "administrator")
    with pytest.raises(NotFound):
        await accounts.join(Wish(secret=made.secret, password="another four words"), None, "")
    await accounts.sign_in("ada@example.org", PASSWORD, "192.0.2.1", "")
    of_operator = accounts.invitations.reset(world.mine, ada.person.person_id)
    await accounts.join(Wish(secret=of_operator.secret, password="another four words"), None, "")


@pytest.mark.parametrize("how", ["removed", "builder"])
async def test_links_end_with_the_role_of_whoever_made_them(world: World, accounts: Accounts, how: str) -> None:
    boss = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Boss", "administrator"))
    eve = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Eve", "administrator"))
    ada = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada"))
    by = eve.person.person_id
    back = accounts.invitations.invite(world.mine, "administrator", by=by)
    over = accounts.invitations.reset(world.mine, ada.person.person_id, by=by)
    kept = accounts.invitations.invite(world.mine, "member", by=boss.person.person_id)
    if how == "removed":
        accounts.people.remove(world.mine, by)
    else:
        accounts.people.set_role(world.mine, by, "builder")
    for link in (back, over):
        with pytest.raises(NotFound):
            await accounts.look(link.secret)
    await accounts.look(kept.secret)
    # A request that was let in before comes through now.
    with pytest.raises(Forbidden):
        accounts.invitations.invite(world.mine, "administrator", by=by)
    assert [one.invitation_id for one in accounts.invitations.pending(world.mine)] == [kept.invitation.invitation_id]
