"""Usage in the browser: sums by day, model, key and person; members see their own, strangers nothing."""

import pytest
from tests.entrypoints.web.conftest import Page, Site

from tramontane.foundation.nouns import Caller, Spend
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access.nouns import NewKey
from tramontane.records.ledger import Receipt, store

DAY_NS = 86_400 * 10**9
FIRST_DAY = 20_000  # 2024-10-04
SPEND = Spend(
    prompt_tokens=10, cached_tokens=4, generated_tokens=5, queued_ns=2_000_000, prefill_ns=3_000_000, decode_ns=4_000_000
)  # fmt: skip


def spend(
    database: Database, scope: Scope, principal: str, *, model: str = "m", day: int = 0, key: str | None = None
) -> None:
    caller = Caller(
        organisation_id=scope.organisation_id, workspace_id=scope.workspace_id, principal_id=principal, key_id=key
    )
    time_ns = (FIRST_DAY + day) * DAY_NS + DAY_NS // 2
    spend.number += 1  # type: ignore[attr-defined]
    receipt = Receipt.of(caller, f"r{spend.number}", time_ns=time_ns, spend=SPEND, model=model)  # type: ignore[attr-defined]
    with database.write() as connection:
        store.add(connection, [receipt])


spend.number = 0  # type: ignore[attr-defined]


async def asked(page: Page, by: str, since: str = "2024-10-04", until: str = "2024-10-06") -> dict[object, int]:
    """Requests by group."""
    status, body = await page.ask("GET", f"/web/usage?by={by}&from={since}&to={until}")
    assert status == 200, body
    assert body["total"]["requests"] == sum(row["requests"] for row in body["rows"])
    groups = [tuple(row.get(part) for part in by.split(",")) for row in body["rows"]]
    return {
        group if len(group) > 1 else group[0]: row["requests"] for group, row in zip(groups, body["rows"], strict=True)
    }


async def test_every_grouping_and_who_sees_what(site: Site, database: Database) -> None:
    ada, bob = await site.person("Ada", "administrator"), await site.person("Bob", "builder")
    mia, eve = await site.person("Mia"), await site.person("Eve", "administrator", site.other)
    key, _ = site.keys.create(site.here, NewKey(name="ci"), created_by=bob.person_id)
    other, _ = site.keys.create(site.here, NewKey(name="cd"), created_by=bob.person_id)
    terminal, _ = site.keys.create(site.here, NewKey(name="terminal"))
    spend(database, site.here, mia.person_id)
    spend(database, site.here, mia.person_id, day=1, model="n")
    for made in (key, other, terminal):
        spend(database, site.here, made.key_id, day=2, key=made.key_id)
    spend(database, site.other, eve.person_id)

    assert await asked(ada, "day") == {"2024-10-04": 1, "2024-10-05": 1, "2024-10-06": 3}
    assert await asked(ada, "model") == {"m": 4, "n": 1}
    assert await asked(ada, "day,model") == {
        ("2024-10-04", "m"): 1, ("2024-10-05", "n"): 1, ("2024-10-06", "m"): 3,
    }  # fmt: skip
    assert await asked(ada, "key") == {None: 2, key.key_id: 1, other.key_id: 1, terminal.key_id: 1}
    assert await asked(ada, "person") == {mia.person_id: 2, bob.person_id: 2, None: 1}
    for by in ("day", "model", "key", "day,model,key"):
        assert await asked(bob, by) == await asked(ada, by)
    assert await asked(bob, "person") == {bob.person_id: 2}
    assert await asked(bob, "key,person") == {(key.key_id, bob.person_id): 1, (other.key_id, bob.person_id): 1}
    assert await asked(bob, "day,person") == {("2024-10-06", bob.person_id): 2}
    assert await asked(mia, "person") == {mia.person_id: 2}
    assert await asked(mia, "key") == {None: 2}
    assert await asked(eve, "person") == {eve.person_id: 1}


async def test_a_member_sees_what_their_former_keys_spent(site: Site, database: Database) -> None:
    mia = await site.person("Mia")
    key, _ = site.keys.create(site.here, NewKey(name="when-builder"), created_by=mia.person_id)
    spend(database, site.here, key.key_id, key=key.key_id)
    spend(database, site.here, "usr_somebody")
    assert await asked(mia, "person") == {mia.person_id: 1}


async def test_days_count_from_their_first_to_their_last_moment(site: Site, database: Database) -> None:
    ada = await site.person("Ada", "administrator")
    for time_ns in (FIRST_DAY * DAY_NS, (FIRST_DAY + 1) * DAY_NS - 1, (FIRST_DAY + 1) * DAY_NS):
        caller = Caller(
            organisation_id=site.here.organisation_id, workspace_id=site.here.workspace_id, principal_id=ada.person_id
        )
        with database.write() as connection:
            store.add(connection, [Receipt.of(caller, f"t{time_ns}", time_ns=time_ns, spend=SPEND)])
    assert await asked(ada, "day", until="2024-10-04") == {"2024-10-04": 2}


async def test_numbers_and_names(site: Site, database: Database) -> None:
    ada = await site.person("Ada", "administrator")
    spend(database, site.here, ada.person_id)
    spend(database, site.here, ada.person_id)
    _, body = await ada.ask("GET", "/web/usage?by=person&from=2024-10-01&to=2024-10-31")
    numbers = {
        "requests": 2, "prompt_tokens": 20, "cached_tokens": 8, "generated_tokens": 10, "queued_ms": 4, "compute_ms": 14,
    }  # fmt: skip
    assert body["rows"] == [{"person": ada.person_id, "person_name": "Ada", **numbers}]
    assert body["total"] == numbers and (body["from"], body["to"]) == ("2024-10-01", "2024-10-31")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"), ("to=2024-02-30", "to"), ("from=20241004", "from"), ("from=2024-W40-5", "from"),
        ("from=0001-01-01&to=0001-01-02", "to"), ("to=9999-12-31", "to"), ("from=2024-10-05&to=2024-10-04", "from"),
        ("from=2001-01-01&to=2024-10-04", "from"), ("by=colour", "by"), ("by=day,principal", "by"),
        ("from=%00", "from"), ("from=' OR 1=1--", "from"),
    ],
)  # fmt: skip
async def test_a_question_that_cannot_be_is_named(site: Site, query: str, field: str) -> None:
    mia = await site.person("Mia")
    status, body = await mia.ask("GET", f"/web/usage?{query}")
    assert status == 422 and body["detail"][0]["loc"] == ["query", field]
