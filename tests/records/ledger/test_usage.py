"""Sums over receipts equal what was posted, by every grouping, and show nobody another's."""

from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from tests.postgres import PostgresServer
from tests.records.ledger.gateway import CALLER, receipt

from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import Caller
from tramontane.foundation.progress import silent
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.schema import migrate
from tramontane.foundation.store.scope import Scope
from tramontane.records.ledger import OrganisationWide, Receipt, store, usage
from tramontane.records.ledger.nouns import SPEND_FIELDS

SIBLING = Caller(organisation_id="org_a", workspace_id="ws_b", principal_id="p", key_id="k2")
FOREIGN = Caller(organisation_id="org_b", workspace_id="ws_a", principal_id="p", key_id="k")


def add(database: Database, receipts: list[Receipt]) -> None:
    with database.write() as connection:
        store.add(connection, receipts)


def test_everyone_sees_their_own(database: Database) -> None:
    add(database, [receipt("a"), receipt("b"), receipt("a", SIBLING), receipt("a", FOREIGN)])
    assert [row.requests for row in usage(database, CALLER)] == [2]
    assert [row.requests for row in usage(database, SIBLING)] == [1]
    assert usage(database, Scope("org_b", "ws_b")) == []
    wide = usage(database, OrganisationWide("org_a"), by=("workspace",))
    assert [(row.workspace, row.requests, row.prompt_tokens) for row in wide] == [("ws_a", 2, 6), ("ws_b", 1, 3)]


def test_the_period_takes_its_beginning_and_not_its_end(database: Database) -> None:
    times = [msgspec.structs.replace(receipt(f"r{time_ns}"), time_ns=time_ns) for time_ns in (9, 10, 19, 20)]
    add(database, times)
    found = usage(database, CALLER, since_ns=10, until_ns=20, by=())
    assert [row.requests for row in found] == [2]
    assert usage(database, CALLER, since_ns=21, by=()) == []


def test_outcomes_are_counted_apart(database: Database) -> None:
    outcomes = ("finished", "failed", "failed", "cancelled", "refused", "refused", "refused")
    add(database, [receipt(f"r{number}", outcome=outcome) for number, outcome in enumerate(outcomes)])
    (row,) = usage(database, CALLER, by=("model",))
    assert (row.requests, row.failed, row.cancelled, row.refused) == (7, 2, 1, 3)
    assert (row.model, row.key, row.workspace) == ("m", None, None)


def test_an_unknown_grouping_is_refused(database: Database) -> None:
    with pytest.raises(InvalidFields, match="workspace, key, model"):
        usage(database, CALLER, by=("colour",))  # type: ignore[arg-type]


def test_sums_are_exact_up_to_what_a_column_holds(database: Database) -> None:
    half = msgspec.structs.replace(receipt("a"), cache_reads=2**62)
    add(database, [half, msgspec.structs.replace(half, request_id="b", cache_reads=2**62 - 1)])
    (row,) = usage(database, CALLER)
    assert row.cache_reads == 2**63 - 1


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for all examples, which are too many for one each."""
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path_factory.mktemp('usage') / 't.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        address = server.create()
    opened = Database.open(address)
    migrate(opened, silent)
    yield opened
    opened.close()


COUNTS = st.fixed_dictionaries({name: st.integers(0, 2**40) for name in SPEND_FIELDS})
PLACES = st.tuples(st.sampled_from([CALLER, SIBLING]), st.sampled_from(["m1", "m2"]))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(PLACES, COUNTS), max_size=12))
def test_every_grouping_sums_to_the_same(
    shared: Database, drawn: list[tuple[tuple[Caller, str], dict[str, int]]]
) -> None:
    with shared.write() as connection:
        connection.execute(delete(store.receipt))
    made = [
        msgspec.structs.replace(receipt(f"r{number}", caller, model=model), **counts)
        for number, ((caller, model), counts) in enumerate(drawn)
    ]
    add(shared, made)
    wanted = Counter({name: sum(getattr(one, name) for one in made) for name in SPEND_FIELDS})
    for by in ((), ("workspace",), ("key",), ("model",), ("workspace", "key", "model")):
        rows = usage(shared, OrganisationWide("org_a"), by=by)  # type: ignore[arg-type]
        assert sum(row.requests for row in rows) == len(made)
        assert Counter({name: sum(getattr(row, name) for row in rows) for name in SPEND_FIELDS}) == wanted
