"""Service keys: made, shown once, listed, ended; and nobody else's business."""

import pytest
from sqlalchemy import text
from tests.records.access.conftest import World

from tramontane.foundation.errors import Conflict, InvalidFields, NotFound
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import NewKey

HOUR_NS = 3600 * 10**9


def test_a_key_is_listed_without_its_secret(world: World) -> None:
    wanted = NewKey(name=" app ", rights=frozenset({"usage", "inference"}), requests_per_minute=60)
    made, secret = world.keys.create(world.mine, wanted)
    assert world.keys.list(world.mine) == [made]
    assert (made.name, made.requests_per_minute, made.tokens_per_minute) == ("app", 60, None)
    assert made.rights == {"usage", "inference"}
    assert secret.startswith(made.shown.removesuffix("..."))
    assert made.live(world.clock.now_ns())


def test_the_database_holds_no_secret(world: World) -> None:
    _, secret = world.keys.create(world.mine, NewKey(name="app"))
    with world.database.read() as connection:
        row = connection.execute(text("SELECT * FROM service_key")).one()
    random_part = secret[16:]
    assert len(random_part) == 43
    assert all(random_part not in str(value) and random_part.encode() not in _bytes(value) for value in row)


def test_a_stranger_finds_no_key(world: World) -> None:
    made, _ = world.keys.create(world.mine, NewKey(name="app"))
    for stranger in (world.sibling, world.foreign, Scope(world.foreign.organisation_id, world.mine.workspace_id)):
        assert world.keys.list(stranger) == []
        for act in (
            lambda scope=stranger: world.keys.find(scope, made.key_id),
            lambda scope=stranger: world.keys.revoke(scope, made.key_id),
            lambda scope=stranger: world.keys.expire(scope, made.key_id, world.clock.now_ns() + HOUR_NS),
        ):
            with pytest.raises(NotFound):
                act()
    assert world.keys.list(world.mine) == [made]


def test_revoking_is_for_ever_and_may_be_repeated(world: World) -> None:
    made, _ = world.keys.create(world.mine, NewKey(name="app"))
    first = world.keys.revoke(world.mine, made.key_id)
    world.clock.pass_ns(HOUR_NS)
    assert world.keys.revoke(world.mine, made.key_id) == first
    assert not first.live(world.clock.now_ns())


def test_a_name_is_free_again_once_its_key_has_ended(world: World) -> None:
    first, _ = world.keys.create(world.mine, NewKey(name="app"))
    with pytest.raises(Conflict):
        world.keys.create(world.mine, NewKey(name="app"))
    world.keys.create(world.sibling, NewKey(name="app"))
    world.keys.revoke(world.mine, first.key_id)
    second, _ = world.keys.create(world.mine, NewKey(name="app"))
    assert world.keys.find(world.mine, "app") == second
    assert world.keys.find(world.mine, first.shown).key_id == first.key_id


def test_a_key_ends_when_its_time_has_come(world: World) -> None:
    now_ns = world.clock.now_ns()
    made, _ = world.keys.create(world.mine, NewKey(name="app", expires_ns=now_ns + HOUR_NS))
    assert made.live(now_ns + HOUR_NS - 1)
    assert not made.live(now_ns + HOUR_NS)
    later = world.keys.expire(world.mine, made.key_id, now_ns + 2 * HOUR_NS)
    assert later.live(now_ns + HOUR_NS)
    with pytest.raises(InvalidFields, match="revoke"):
        world.keys.expire(world.mine, made.key_id, now_ns)
    assert world.keys.expire(world.mine, made.key_id, None).expires_ns is None


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_what_has_ended_stays_so(world: World, how: str) -> None:
    ends_ns = world.clock.now_ns() + HOUR_NS
    made, _ = world.keys.create(world.mine, NewKey(name="app", expires_ns=ends_ns))
    if how == "revoked":
        world.keys.revoke(world.mine, made.key_id)
    else:
        world.clock.pass_ns(HOUR_NS)
    for end_ns in (world.clock.now_ns() + HOUR_NS, None):
        with pytest.raises(Conflict, match="new one"):
            world.keys.expire(world.mine, made.key_id, end_ns)


def test_a_key_knows_its_models(world: World) -> None:
    made, _ = world.keys.create(world.mine, NewKey(name="app", models=frozenset({"tiny", "org:small-1.5"})))
    free, _ = world.keys.create(world.mine, NewKey(name="free"))
    assert (made.models, free.models) == ({"tiny", "org:small-1.5"}, None)
    assert {key.name: key.models for key in world.keys.list(world.mine)} == {"app": made.models, "free": None}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (NewKey(name=""), "name"),
        (NewKey(name="   "), "name"),
        (NewKey(name="x" * 101), "name"),
        (NewKey(name="a\0b"), "name"),
        (NewKey(name="a\nb"), "name"),
        (NewKey(name="\ud800"), "name"),
        (NewKey(name="a", requests_per_minute=0), "requests_per_minute"),
        (NewKey(name="a", tokens_per_minute=-5), "tokens_per_minute"),
        (NewKey(name="a", tokens_per_minute=2**70), "tokens_per_minute"),
        (NewKey(name="a", rights=frozenset()), "rights"),
        (NewKey(name="a", rights=frozenset({"root"})), "rights"),
        (NewKey(name="a", expires_ns=1), "expires"),
        (NewKey(name="a", models=frozenset()), "models"),
        (NewKey(name="a", models=frozenset({"a b"})), "models"),
        (NewKey(name="a", models=frozenset({""})), "models"),
        (NewKey(name="a", models=frozenset(f"m{number}" for number in range(51))), "models"),
    ],
)
def test_what_cannot_be_is_refused_by_field(world: World, wanted: NewKey, field: str) -> None:
    with pytest.raises(InvalidFields) as refusal:
        world.keys.create(world.mine, wanted)
    assert refusal.value.param == field
    assert world.keys.list(world.mine) == []


def test_a_workspace_that_is_not_has_no_keys(world: World) -> None:
    with pytest.raises(NotFound):
        world.keys.create(Scope(world.foreign.organisation_id, world.mine.workspace_id), NewKey(name="app"))


def _bytes(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else b""
