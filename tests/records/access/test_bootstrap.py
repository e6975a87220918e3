"""The first start makes one organisation, one workspace, one secret and one key, however many start at once."""

from concurrent.futures import ThreadPoolExecutor

from tests.fakes.clock import FakeClock

from tramontane.foundation.store.database import Database
from tramontane.records.access import Callers, Keys, Places, ensure_default


async def test_the_first_start_gives_a_key_that_works(database: Database) -> None:
    clock = FakeClock()
    start = ensure_default(database, clock)
    assert start.first_secret is not None
    caller = await Callers(database, clock).caller_for(start.first_secret)
    assert (caller.organisation_id, caller.workspace_id) == (start.scope.organisation_id, start.scope.workspace_id)
    assert len(start.server_secret) == 32


def test_later_starts_find_the_same_and_give_no_secret(database: Database) -> None:
    first = ensure_default(database, FakeClock())
    again = ensure_default(database, FakeClock())
    assert again == first._replace(first_secret=None)
    Keys(database, FakeClock()).revoke(first.scope, Keys(database, FakeClock()).list(first.scope)[0].key_id)
    assert ensure_default(database, FakeClock()).first_secret is None


def test_starting_at_once_makes_one_of_each(address: str, database: Database) -> None:
    opened = [Database.open(address) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        starts = list(pool.map(lambda one: ensure_default(one, FakeClock()), opened))
    assert len({start.scope for start in starts}) == 1
    assert len({start.server_secret for start in starts}) == 1
    assert sum(start.first_secret is not None for start in starts) == 1
    organisation_id = starts[0].scope.organisation_id
    assert len(Places(database, FakeClock()).workspaces(organisation_id)) == 1
    assert len(Keys(database, FakeClock()).list(starts[0].scope)) == 1
    for one in opened:
        one.close()
