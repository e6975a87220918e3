"""Who is in a workspace and as what: an administrator always stays, a leaver's keys go along, strangers find nobody."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.fakes.accounts import quick_accounts, signed_in
from tests.records.access.conftest import World

from tramontane.foundation.errors import Conflict, InvalidFields, NotFound, TramontaneError, Unauthenticated
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import Accounts, Callers, NewKey


@pytest.fixture
def accounts(world: World) -> Accounts:
    return quick_accounts(world.database, world.clock, world.mine.organisation_id)


async def person_id(accounts: Accounts, scope: Scope, name: str, role: str = "member") -> str:
    token = await signed_in(accounts, scope, name, role)  # type: ignore[arg-type]
    return (await accounts.sessions.signed_in(token)).person.person_id


async def test_the_last_administrator_stays_one(world: World, accounts: Accounts) -> None:
    ada = await person_id(accounts, world.mine, "Ada", "administrator")
    world.places.join(
        world.mine, world.places.add_person(world.mine.organisation_id, "Ghost").person_id, "administrator"
    )
    for act in (
        lambda: accounts.people.remove(world.mine, ada),
        lambda: accounts.people.set_role(world.mine, ada, "member"),
    ):
        with pytest.raises(Conflict) as refusal:
            act()
        assert refusal.value.code == "last_administrator"
    accounts.people.set_role(world.mine, ada, "administrator")
    bob = await person_id(accounts, world.mine, "Bob")
    accounts.people.set_role(world.mine, bob, "administrator")
    accounts.people.remove(world.mine, ada)
    with pytest.raises(Conflict):
        accounts.people.remove(world.mine, bob)


async def test_two_administrators_leaving_at_once_leave_one(world: World, accounts: Accounts) -> None:
    both = [await person_id(accounts, world.mine, name, "administrator") for name in ("Ada", "Bob")]

    def leave(who: str) -> bool:
        try:
            accounts.people.remove(world.mine, who)
        except TramontaneError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(leave, both)) == 1
    assert len(accounts.people.seats(world.mine)) == 1


async def test_a_leavers_keys_end_and_others_stay(world: World, accounts: Accounts) -> None:
    await person_id(accounts, world.mine, "Ada", "administrator")
    bob = await person_id(accounts, world.mine, "Bob", "builder")
    made, secret = world.keys.create(world.mine, NewKey(name="bobs"), created_by=bob)
    _, terminals = world.keys.create(world.mine, NewKey(name="terminal"))
    world.places.join(world.sibling, bob, "builder")
    _, elsewhere = world.keys.create(world.sibling, NewKey(name="elsewhere"), created_by=bob)
    callers = Callers(world.database, world.clock)
    caller = await callers.caller_for(secret)
    assert (made.created_by, caller.person_id, caller.owner_id) == (bob, bob, bob)
    assert (await callers.caller_for(terminals)).owner_id == (await callers.caller_for(terminals)).key_id
    assert accounts.people.remove(world.mine, bob) == ["bobs"]
    world.clock.pass_ns(2 * 10**9)
    with pytest.raises(Unauthenticated):
        await callers.caller_for(secret)
    await callers.caller_for(terminals)
    await callers.caller_for(elsewhere)


async def test_a_key_can_do_no_more_than_whoever_made_it_still_may(world: World, accounts: Accounts) -> None:
    await person_id(accounts, world.mine, "Ada", "administrator")
    bob = await person_id(accounts, world.mine, "Bob", "administrator")
    wanted = NewKey(name="bobs", rights=frozenset({"inference", "admin"}))
    _, secret = world.keys.create(world.mine, wanted, created_by=bob)
    _, terminals = world.keys.create(world.mine, NewKey(name="terminal", rights=wanted.rights))
    callers = Callers(world.database, world.clock)
    assert (await callers.caller_for(secret)).roles == {"inference", "admin"}
    accounts.people.set_role(world.mine, bob, "builder")
    world.clock.pass_ns(2 * 10**9)
    assert (await callers.caller_for(secret)).roles == {"inference"}
    assert (await callers.caller_for(terminals)).roles == {"inference", "admin"}


async def test_a_key_made_in_the_moment_its_maker_is_removed_opens_nothing(world: World, accounts: Accounts) -> None:
    await person_id(accounts, world.mine, "Ada", "administrator")
    bob = await person_id(accounts, world.mine, "Bob", "builder")
    accounts.people.remove(world.mine, bob)
    _, secret = world.keys.create(world.mine, NewKey(name="late"), created_by=bob)
    with pytest.raises(Unauthenticated):
        await Callers(world.database, world.clock).caller_for(secret)


async def test_a_stranger_finds_nobody(world: World, accounts: Accounts) -> None:
    ada = await person_id(accounts, world.mine, "Ada", "administrator")
    await person_id(accounts, world.mine, "Bob", "administrator")
    for stranger in (world.sibling, world.foreign, Scope(world.foreign.organisation_id, world.mine.workspace_id)):
        assert accounts.people.seats(stranger) == []
        for act in (
            lambda scope=stranger: accounts.people.set_role(scope, ada, "member"),
            lambda scope=stranger: accounts.people.remove(scope, ada),
            lambda scope=stranger: accounts.invitations.reset(scope, ada),
        ):
            with pytest.raises(NotFound):
                act()
    assert {seat.role for seat in accounts.people.seats(world.mine)} == {"administrator"}


async def test_people_change_what_is_theirs(world: World, accounts: Accounts) -> None:
    token = await signed_in(accounts, world.mine, "Ada")
    person = (await accounts.sessions.signed_in(token)).person
    accounts.people.change(person, {"name": " <script>alert(1)</script> ", "language": "fr", "theme": "dark"})
    accounts.people.change(person, {})
    seat = accounts.people.seats(world.mine)[0]
    assert (seat.person.name, seat.person.language, seat.person.theme) == ("<script>alert(1)</script>", "fr", "dark")
    accounts.people.change(person, {"theme": None})
    assert accounts.people.seats(world.mine)[0].person.theme is None
    for name in ("", "  ", "x" * 101, "a\x00b"):
        with pytest.raises(InvalidFields):
            accounts.people.change(person, {"name": name})
    assert seat.joined_ns == world.clock.now_ns() and seat.seen_ns == world.clock.now_ns()


async def test_a_new_workspace_is_its_makers(world: World, accounts: Accounts) -> None:
    token = await signed_in(accounts, world.mine, "Ada", "administrator")
    person = (await accounts.sessions.signed_in(token)).person
    made = accounts.people.make_workspace(person, "Research")
    # Both joined at the same moment here, so that which comes first is the database's affair.
    places = {(place.name, role) for place, role in accounts.people.places(person)}
    assert places == {("Research", "administrator"), ("mine", "administrator")}
    assert [seat.person.person_id for seat in accounts.people.seats(made.scope)] == [person.person_id]
    with pytest.raises(Conflict):
        accounts.people.make_workspace(person, "sibling")
    with pytest.raises(InvalidFields):
        accounts.people.set_role(made.scope, person.person_id, "king")  # type: ignore[arg-type]
