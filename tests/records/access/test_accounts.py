"""Signing in: one refusal for every reason, guesses slowed, old hashes renewed; and changing one's password."""

import asyncio

import argon2
import pytest
from sqlalchemy import text
from tests.fakes.accounts import PASSWORD, quick_accounts, signed_in
from tests.records.access.conftest import World

from tramontane.foundation.errors import Forbidden, InvalidFields, RateLimited, Unauthenticated
from tramontane.foundation.settings import SessionSettings
from tramontane.foundation.store.errors import StorageFailed
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import Accounts, people_store
from tramontane.records.access.nouns import Person
from tramontane.records.access.passwords import Passwords

HERE = "192.0.2.1"


@pytest.fixture
def accounts(world: World) -> Accounts:
    return quick_accounts(world.database, world.clock, world.mine.organisation_id)


async def test_the_right_password_opens_a_session_however_the_address_is_written(
    world: World, accounts: Accounts
) -> None:
    await signed_in(accounts, world.mine, "Ada")
    for email in ("ada@example.org", " ADA@Example.ORG "):
        found = await accounts.sessions.signed_in(await accounts.sign_in(email, PASSWORD, HERE, "Firefox"))
        assert (found.person.name, found.workspace.name) == ("Ada", "mine")


async def test_every_reason_to_refuse_reads_the_same(world: World, accounts: Accounts) -> None:
    await signed_in(accounts, world.mine, "Ada")
    world.places.add_person(world.mine.organisation_id, "Ghost", "ghost@example.org")
    theirs = quick_accounts(world.database, world.clock, world.foreign.organisation_id)
    await signed_in(theirs, world.foreign, "Eve")
    words = set()
    tries = [
        ("ada@example.org", wrong) for wrong in ("", " ", "\t\n", "x", PASSWORD + " ", "x" * 10_000, "' OR 1=1 --")
    ]
    tries += [(email, PASSWORD) for email in ("nobody@example.org", "ghost@example.org", "eve@example.org", "", "é")]
    for number, (email, password) in enumerate(tries):
        with pytest.raises(Unauthenticated) as refusal:
            await accounts.sign_in(email, password, f"198.51.100.{number}", "")
        words.add((refusal.value.message, refusal.value.code, refusal.value.param))
    assert len(words) == 1


async def test_unknown_addresses_cost_the_same_work(
    world: World, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await signed_in(accounts, world.mine, "Ada")
    checked: list[str] = []
    original = argon2.PasswordHasher.verify

    def counting(self: argon2.PasswordHasher, hash: str, password: str) -> bool:
        checked.append(hash)
        return original(self, hash, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counting)
    for email in ("ada@example.org", "nobody@example.org"):
        with pytest.raises(Unauthenticated):
            await accounts.sign_in(email, "another four words", HERE, "")
    assert len(checked) == 2
    assert argon2.extract_parameters(checked[0]) == argon2.extract_parameters(checked[1])


async def test_guessing_is_slowed_and_blank_passwords_reach_nothing(world: World, accounts: Accounts) -> None:
    await signed_in(accounts, world.mine, "Ada")
    for _ in range(50):
        with pytest.raises(Unauthenticated):
            await accounts.sign_in("ada@example.org", " ", HERE, "")
    guesses = [accounts.sign_in("ada@example.org", f"guess number {number}", HERE, "") for number in range(30)]
    kinds = [type(error) for error in await asyncio.gather(*guesses, return_exceptions=True)]
    assert kinds.count(Unauthenticated) == 5 and kinds.count(RateLimited) == 25
    with pytest.raises(RateLimited):
        await accounts.sign_in("ada@example.org", PASSWORD, HERE, "")
    world.clock.pass_ns(10**9)
    await accounts.sign_in("ada@example.org", PASSWORD, HERE, "")


async def test_a_store_that_fails_counts_no_guess(
    world: World, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await signed_in(accounts, world.mine, "Ada")

    def broken(email: str) -> None:
        raise StorageFailed("gone", retry_after_s=5)

    with monkeypatch.context() as patched:
        patched.setattr(accounts, "_person_and_hash", broken)
        for _ in range(20):
            with pytest.raises(StorageFailed):
                await accounts.sign_in("ada@example.org", PASSWORD, HERE, "")
    await accounts.sign_in("ada@example.org", PASSWORD, HERE, "")


async def test_an_older_hash_is_renewed_at_sign_in(world: World, accounts: Accounts) -> None:
    await signed_in(accounts, world.mine, "Ada")
    stronger = Passwords(argon2.PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    later = Accounts(world.database, world.clock, world.mine.organisation_id, SessionSettings(), passwords=stronger)
    for _ in range(2):
        await later.sign_in("ada@example.org", PASSWORD, HERE, "")
        with world.database.read() as connection:
            assert "$m=16,t=2,p=1$" in connection.execute(text("SELECT hash FROM password")).scalar_one()


async def test_one_goes_on_where_one_was(world: World, accounts: Accounts) -> None:
    ada = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada"))
    world.places.join(world.sibling, ada.person.person_id, "builder")
    await accounts.sessions.switch(ada, world.sibling.workspace_id)
    found = await accounts.sessions.signed_in(await accounts.sign_in("ada@example.org", PASSWORD, HERE, ""))
    assert found.workspace.name == "sibling"


async def test_who_has_no_workspace_is_told_so_only_with_the_right_password(world: World, accounts: Accounts) -> None:
    await signed_in(accounts, world.mine, "Boss", "administrator")
    ada = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada"))
    accounts.people.remove(world.mine, ada.person.person_id)
    with pytest.raises(Unauthenticated):
        await accounts.sign_in("ada@example.org", "another four words", HERE, "")
    with pytest.raises(Forbidden):
        await accounts.sign_in("ada@example.org", PASSWORD, HERE, "")


async def test_changing_the_password_ends_the_other_sessions(world: World, accounts: Accounts) -> None:
    token = await signed_in(accounts, world.mine, "Ada")
    other = await accounts.sign_in("ada@example.org", PASSWORD, HERE, "")
    ada = await accounts.sessions.signed_in(token)
    await accounts.sessions.signed_in(other)
    with pytest.raises(InvalidFields) as refusal:
        await accounts.change_password(ada, "not the current one", "another four words", HERE)
    assert refusal.value.param == "current"
    with pytest.raises(InvalidFields):
        await accounts.change_password(ada, PASSWORD, "short", HERE)
    await accounts.change_password(ada, PASSWORD, "another four words", HERE)
    await accounts.sessions.signed_in(token)
    with pytest.raises(Unauthenticated):
        await accounts.sessions.signed_in(other)
    with pytest.raises(Unauthenticated):
        await accounts.sign_in("ada@example.org", PASSWORD, HERE, "")
    await accounts.sign_in("ada@example.org", "another four words", HERE, "")


async def test_the_current_password_cannot_be_guessed_either(world: World, accounts: Accounts) -> None:
    ada = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada"))
    refused = [
        accounts.change_password(ada, f"guess number {number}", "another four words", HERE) for number in range(20)
    ]
    kinds = [type(error) for error in await asyncio.gather(*refused, return_exceptions=True)]
    assert kinds.count(RateLimited) == 15


async def test_a_password_changed_while_it_is_checked_opens_nothing(
    world: World, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knows the old one could go on trying, so that a session begins right after all others have ended."""
    ada = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada"))
    usual_place = accounts._usual_place

    def late(person: Person) -> Scope | None:
        accounts._set(ada.person, "another hash", ada.session_id)
        return usual_place(person)

    monkeypatch.setattr(accounts, "_usual_place", late)
    with pytest.raises(Unauthenticated):
        await accounts.sign_in("ada@example.org", PASSWORD, HERE, "")
    assert [one.session_id for one in await accounts.sessions.listed(ada.person)] == [ada.session_id]


async def test_a_password_that_is_being_changed_is_waited_for(world: World, accounts: Accounts) -> None:
    ada = await accounts.sessions.signed_in(await signed_in(accounts, world.mine, "Ada"))
    hashed = accounts._hash_of(ada.person)
    with world.database.write() as connection:
        people_store.set_password(connection, world.mine.organisation_id, ada.person.person_id, "another hash", 1)
        beginning = asyncio.create_task(
            accounts.sessions.begin(world.mine, ada.person.person_id, "", by_password=hashed)
        )
        await asyncio.sleep(0.2)
        assert not beginning.done()
    with pytest.raises(Unauthenticated):
        await beginning
