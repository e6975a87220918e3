"""From a presented key to its caller: the right one, quickly, and no longer than it may be."""

import asyncio
import datetime

import pytest
from tests.records.access.conftest import World

from tramontane.foundation.errors import Unauthenticated
from tramontane.foundation.store.errors import StorageFailed
from tramontane.records.access import Callers, Keys, NewKey
from tramontane.records.access.secret import new_secret

HOUR_NS = 3600 * 10**9
TWO_SECONDS_NS = 2 * 10**9


async def test_the_caller_is_the_keys(world: World) -> None:
    wanted = NewKey(name="app", rights=frozenset({"usage"}), requests_per_minute=60, tokens_per_minute=1000)
    made, secret = world.keys.create(world.mine, wanted)
    callers = Callers(world.database, world.clock)
    caller = await callers.caller_for(secret)
    assert (caller.organisation_id, caller.workspace_id) == (world.mine.organisation_id, world.mine.workspace_id)
    assert (caller.key_id, caller.principal_id, caller.roles) == (made.key_id, made.key_id, {"usage"})
    assert (caller.requests_per_minute, caller.tokens_per_minute, caller.weight) == (60, 1000, 3)
    assert await callers.caller_for(secret) is caller


async def test_every_key_of_a_workspace_has_the_workspaces_weight(world: World) -> None:
    secrets = [world.keys.create(world.mine, NewKey(name=name))[1] for name in ("app", "other")]
    callers = Callers(world.database, world.clock)
    assert [(await callers.caller_for(secret)).weight for secret in secrets] == [3, 3]
    world.places.set_weight(world.mine, 7)
    world.clock.pass_ns(TWO_SECONDS_NS)
    assert [(await callers.caller_for(secret)).weight for secret in secrets] == [7, 7]


async def test_a_key_that_expired_is_told_so_and_when_and_only_to_who_has_it(world: World) -> None:
    ends_ns = world.clock.now_ns() + HOUR_NS
    made, secret = world.keys.create(world.mine, NewKey(name="app", expires_ns=ends_ns))
    callers = Callers(world.database, world.clock)
    await callers.caller_for(secret)
    world.clock.pass_ns(HOUR_NS)
    ended = datetime.datetime.fromtimestamp(ends_ns // 10**9, datetime.UTC)
    with pytest.raises(Unauthenticated, match=f"expired on {ended:%Y-%m-%d %H:%M} UTC") as refusal:
        await callers.caller_for(secret)
    assert refusal.value.code == "key_expired"
    with pytest.raises(Unauthenticated) as stranger:
        await callers.caller_for(f"tm_{made.key_id}_" + new_secret()[1][16:])
    assert stranger.value.code == "unauthenticated" and "expired" not in stranger.value.message
    world.keys.revoke(world.mine, made.key_id)
    callers.forget(made.key_id)
    with pytest.raises(Unauthenticated) as revoked:
        await callers.caller_for(secret)
    assert revoked.value.message == stranger.value.message


async def test_a_key_limited_to_models_says_so_of_its_caller(world: World) -> None:
    _, secret = world.keys.create(world.mine, NewKey(name="app", models=frozenset({"tiny"})))
    assert (await Callers(world.database, world.clock).caller_for(secret)).models == {"tiny"}


async def test_every_other_reason_to_refuse_reads_the_same(world: World) -> None:
    callers = Callers(world.database, world.clock)
    good, secret = world.keys.create(world.mine, NewKey(name="good"))
    revoked, revoked_secret = world.keys.create(world.mine, NewKey(name="revoked"))
    world.keys.revoke(world.mine, revoked.key_id)
    forged = f"tm_{good.key_id}_" + new_secret()[1][16:]
    presented = ["", " ", "x", "' OR 1=1 --", "tm_", "é" * 59, "x" * 10_000, secret + " ", secret.upper(), secret[:-1]]
    presented += [forged, new_secret()[1], revoked_secret]
    words = set()
    for text in presented:
        with pytest.raises(Unauthenticated) as refusal:
            await callers.caller_for(text)
        words.add((refusal.value.message, refusal.value.param, refusal.value.code))
    assert len(words) == 1
    await callers.caller_for(secret)


async def test_a_revocation_made_elsewhere_counts_within_two_seconds(world: World) -> None:
    made, secret = world.keys.create(world.mine, NewKey(name="app"))
    callers = Callers(world.database, world.clock)
    await callers.caller_for(secret)
    Keys(world.database, world.clock).revoke(world.mine, made.key_id)
    world.clock.pass_ns(TWO_SECONDS_NS)
    with pytest.raises(Unauthenticated):
        await callers.caller_for(secret)


async def test_a_revocation_made_here_counts_at_once(world: World) -> None:
    made, secret = world.keys.create(world.mine, NewKey(name="app"))
    callers = Callers(world.database, world.clock)
    await callers.caller_for(secret)
    world.keys.revoke(world.mine, made.key_id)
    callers.forget(made.key_id)
    with pytest.raises(Unauthenticated):
        await callers.caller_for(secret)


async def test_an_end_counts_to_the_moment_whatever_is_cached(world: World) -> None:
    ends_ns = world.clock.now_ns() + 10**9
    _, secret = world.keys.create(world.mine, NewKey(name="app", expires_ns=ends_ns))
    callers = Callers(world.database, world.clock, ttl_ns=HOUR_NS)
    world.clock.pass_ns(10**9 - 1)
    await callers.caller_for(secret)
    world.clock.pass_ns(1)
    with pytest.raises(Unauthenticated):
        await callers.caller_for(secret)


async def test_setting_the_calendar_keeps_nothing_alive(world: World) -> None:
    made, secret = world.keys.create(world.mine, NewKey(name="app"))
    callers = Callers(world.database, world.clock)
    await callers.caller_for(secret)
    world.keys.revoke(world.mine, made.key_id)
    world.clock.jump_ns(-24 * HOUR_NS)
    world.clock.pass_ns(TWO_SECONDS_NS)
    with pytest.raises(Unauthenticated):
        await callers.caller_for(secret)


async def test_many_at_once_are_one_look_up_and_a_leaver_takes_nobody_along(world: World) -> None:
    made, secret = world.keys.create(world.mine, NewKey(name="app"))
    callers = Callers(world.database, world.clock)
    asked = 0
    original = callers._known_now

    def counting(key_id: str) -> object:
        nonlocal asked
        asked += 1
        return original(key_id)

    callers._known_now = counting  # type: ignore[method-assign, assignment]
    tasks = [asyncio.create_task(callers.caller_for(secret)) for _ in range(50)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert asked == 1
    assert isinstance(results[0], asyncio.CancelledError)
    assert {caller.key_id for caller in results[1:]} == {made.key_id}


async def test_guessing_leaves_known_callers_alone(world: World) -> None:
    _, secret = world.keys.create(world.mine, NewKey(name="app"))
    callers = Callers(world.database, world.clock)
    await callers.caller_for(secret)
    guesses = [asyncio.create_task(callers.caller_for(new_secret()[1])) for _ in range(200)]
    await asyncio.sleep(0)
    world.clock.pass_ns(TWO_SECONDS_NS)
    await callers.caller_for(secret)
    assert sum(not guess.done() for guess in guesses) > 100
    refused = await asyncio.gather(*guesses, return_exceptions=True)
    assert {type(error) for error in refused} == {Unauthenticated}


async def test_without_its_database_nobody_new_gets_in(world: World) -> None:
    _, secret = world.keys.create(world.mine, NewKey(name="app"))
    callers = Callers(world.database, world.clock)

    def broken(key_id: str) -> None:
        raise StorageFailed("gone", retry_after_s=5)

    await callers.caller_for(secret)
    callers._known_now = broken  # type: ignore[method-assign, assignment]
    await callers.caller_for(secret)
    world.clock.pass_ns(TWO_SECONDS_NS)
    with pytest.raises(StorageFailed):
        await callers.caller_for(secret)


async def test_last_use_is_written_off_the_path_and_never_goes_back(world: World) -> None:
    made, secret = world.keys.create(world.mine, NewKey(name="app"))
    callers = Callers(world.database, world.clock)
    callers.start()
    await callers.caller_for(secret)
    assert world.keys.find(world.mine, "app").last_used_ns is None
    await callers.close()
    used_ns = world.clock.now_ns()
    assert world.keys.find(world.mine, "app").last_used_ns == used_ns
    world.clock.jump_ns(-HOUR_NS)
    late = Callers(world.database, world.clock)
    await late.caller_for(secret)
    await late.close()
    assert world.keys.find(world.mine, "app").last_used_ns == used_ns
    assert made.last_used_ns is None
