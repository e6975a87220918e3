"""Days summed once are never stale, by every grouping, whatever comes late and however little is kept."""

import itertools
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from tests.records.ledger.gateway import receipt

from tramontane.foundation.nouns import Caller
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.ledger import DaySums, Receipt, store
from tramontane.records.ledger.days import DAY_NS, runs
from tramontane.records.ledger.nouns import Dimension, Usage

SCOPE = Scope("org_a", "ws_a")
DAYS = range(100, 110)


def made(rng: random.Random, number: int, scope: Scope = SCOPE) -> Receipt:
    principal = rng.choice("pqr")
    caller = Caller(
        organisation_id=scope.organisation_id,
        workspace_id=scope.workspace_id,
        principal_id=principal,
        key_id=rng.choice((None, principal)),
    )
    one = receipt(f"{scope.workspace_id}{number}", caller, model=rng.choice("mn"))
    return msgspec.structs.replace(one, time_ns=rng.randrange(98 * DAY_NS, 112 * DAY_NS))


def add(database: Database, receipts: list[Receipt]) -> None:
    with database.write() as connection:
        store.add(connection, receipts)


def asked_directly(database: Database, by: list[Dimension]) -> list[Usage]:
    with database.read() as connection:
        period_ns = (DAYS.start * DAY_NS, DAYS.stop * DAY_NS)
        return store.sums(connection, SCOPE.organisation_id, SCOPE.workspace_id, period_ns, by)


def as_set(rows: list[Usage]) -> set[Usage]:
    return set(rows)


@pytest.mark.parametrize("most_rows", [0, 5, 10_000])
def test_kept_days_say_what_the_receipts_say(database: Database, most_rows: int) -> None:
    rng, sums = random.Random(1), DaySums(database, most_rows=most_rows)
    groupings: list[list[Dimension]] = [[], ["day"], ["model"], ["key"], ["day", "model"], ["principal", "day"]]
    for start in range(0, 60, 20):
        add(database, [made(rng, start + number) for number in range(20)])
        add(database, [made(rng, start + number, Scope("org_a", "ws_b")) for number in range(20)])
        for by in groupings:
            assert as_set(sums.usage(SCOPE, DAYS, by)) == as_set(asked_directly(database, by)), by
    assert sums._rows == sum(map(len, sums._kept.values())) <= most_rows


def test_some_principals_alone(database: Database) -> None:
    rng, sums = random.Random(2), DaySums(database)
    add(database, [made(rng, number) for number in range(50)])
    whole = {row.principal: row.requests for row in sums.usage(SCOPE, DAYS, ["principal"])}
    part = {row.principal: row.requests for row in sums.usage(SCOPE, DAYS, ["principal"], {"p", "nobody"})}
    assert part == {"p": whole["p"]}
    assert sums.usage(SCOPE, DAYS, ["principal"], set()) == []


def test_a_day_without_news_is_not_summed_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, sums = random.Random(3), DaySums(database)
    add(database, [made(rng, number) for number in range(50)])
    sums.usage(SCOPE, DAYS, ["day"])
    summed: list[tuple[int, int]] = []
    real = store.sums

    def watched(*given: object) -> list[Usage]:
        summed.append(given[3])  # type: ignore[arg-type]
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "sums", watched)
    sums.usage(SCOPE, DAYS, ["day"])
    assert summed == []
    add(database, [msgspec.structs.replace(made(rng, 99), time_ns=103 * DAY_NS)])
    sums.usage(SCOPE, DAYS, ["model"])
    assert summed == [(103 * DAY_NS, 104 * DAY_NS)]


def test_counting_asks_an_index_alone(database: Database) -> None:
    """What makes the question quick however many receipts there are."""
    if database.kind != "sqlite":
        pytest.skip("PostgreSQL chooses its plan by the table's size")
    seen: list[str] = []
    with database.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: seen.append(given[2]))
        store.count_days(connection, SCOPE, (0, 1))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {seen[0]}", ("o", "w", 0, 1)).all()
    assert any("USING COVERING INDEX ix_receipt_organisation_id_workspace_id_time_ns" in str(row) for row in plan), plan


@given(st.sets(st.integers(0, 30)))
def test_runs_hold_each_day_once(days: set[int]) -> None:
    found = runs(sorted(days))
    assert sorted(day for run in found for day in run) == sorted(days)
    assert all(later.start > earlier.stop for earlier, later in itertools.pairwise(found))
