"""How long a shared conversation can be read: until it is revoked, or until whoever shared it leaves the workspace."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from tests.fakes.accounts import quick_accounts, signed_in
from tests.fakes.clock import FakeClock
from tests.features.assistant.rooms import Begun

from tramontane.features.assistant import shares
from tramontane.features.assistant.nouns import Owner
from tramontane.foundation.errors import NotFound
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import Accounts, Places
from tramontane.records.access.people import People


class House(NamedTuple):
    """An organisation with two workspaces."""

    database: Database
    clock: FakeClock
    accounts: Accounts
    here: Scope
    other: Scope

    async def join(self, name: str, scope: Scope) -> str:
        token = await signed_in(self.accounts, scope, name)
        return (await self.accounts.sessions.signed_in(token)).person.person_id

    def leave(self, scope: Scope, person_id: str) -> None:
        self.clock.pass_ns(1_000_000_000)
        People(self.database, self.clock).remove(scope, person_id)

    def come_back(self, scope: Scope, person_id: str) -> None:
        self.clock.pass_ns(1_000_000_000)
        Places(self.database, self.clock).join(scope, person_id, "member")

    def share(self, owner: Owner) -> shares.Share:
        self.clock.pass_ns(1_000_000_000)
        with self.database.write() as connection:
            turn = Begun(connection, owner).start("to be read by others")
            return shares.add(connection, owner, turn.conversation.conversation_id, self.clock.now_ns())

    def readable(self, reader: Owner, one: shares.Share) -> bool:
        try:
            with self.database.read() as connection:
                return len(shares.look(connection, reader, one.share_id)[1]) > 0
        except NotFound:
            return False

    def listed(self, owner: Owner, one: shares.Share) -> list[str]:
        with self.database.read() as connection:
            return [found.share_id for found in shares.listed(connection, owner, one.conversation_id)]


@pytest.fixture
async def house(database: Database) -> AsyncIterator[House]:
    clock = FakeClock()
    places = Places(database, clock)
    organisation_id = places.create_organisation("ours").organisation_id
    here, other = (places.create_workspace(organisation_id, name).scope for name in ("here", "other"))
    accounts = quick_accounts(database, clock, organisation_id)
    yield House(database, clock, accounts, here, other)
    await accounts.close()


def owner_of(scope: Scope, owner_id: str) -> Owner:
    return Owner(scope.organisation_id, scope.workspace_id, owner_id)


async def test_what_somebody_shared_ends_when_they_leave_the_workspace_and_only_that(house: House) -> None:
    ada, grace = await house.join("Ada", house.here), await house.join("Grace", house.here)
    house.come_back(house.other, ada)
    reader = owner_of(house.here, grace)
    here, other = (house.share(owner_of(scope, ada)) for scope in (house.here, house.other))
    colleagues = house.share(reader)
    assert [house.readable(reader, one) for one in (here, other, colleagues)] == [True, True, True]
    house.leave(house.here, ada)
    assert [house.readable(reader, one) for one in (here, other, colleagues)] == [False, True, True]


async def test_who_comes_back_shares_anew(house: House) -> None:
    ada = await house.join("Ada", house.here)
    owner = owner_of(house.here, ada)
    old = house.share(owner)
    house.leave(house.here, ada)
    house.come_back(house.here, ada)
    assert not house.readable(owner, old)
    assert house.listed(owner, old) == []
    new = house.share(owner)
    assert house.readable(owner, new)
    assert house.listed(owner, new) == [new.share_id]


async def test_what_a_key_of_nobody_shared_stays(house: House) -> None:
    shared = house.share(owner_of(house.here, "key_of_the_terminal"))
    reader = owner_of(house.other, await house.join("Grace", house.other))
    assert house.readable(reader, shared)
