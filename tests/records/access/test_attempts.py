"""Guessing is slowed, people are not: waits grow and end, memory is bounded, the person's own place stays open."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock

from tramontane.foundation.errors import RateLimited
from tramontane.records.access import attempts
from tramontane.records.access.attempts import BY_ADDRESS, BY_EMAIL, LONGEST_WAIT_S, Attempts

SECOND_NS = 10**9
HOME, AWAY = "192.0.2.1", "198.51.100.7"
ADA = "ada@example.org"


def wait_s(guarded: Attempts, email: str = ADA, address: str = AWAY) -> float:
    """Begin once; the seconds asked for, 0 when let through."""
    try:
        guarded.begin(email, address)
    except RateLimited as refusal:
        assert refusal.code == "too_many_attempts"
        return refusal.retry_after_s
    return 0.0


def test_waits_double_up_to_a_minute_and_no_further() -> None:
    clock = FakeClock()
    guarded = Attempts(clock)
    assert [wait_s(guarded) for _ in range(BY_EMAIL.free)] == [0.0] * BY_EMAIL.free
    waits = []
    for _ in range(10):
        waits.append(wait_s(guarded))
        clock.pass_ns(int(waits[-1] * SECOND_NS))
        assert wait_s(guarded) == 0.0
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert max(waits) == LONGEST_WAIT_S


def test_refused_attempts_do_not_lengthen_the_wait() -> None:
    clock = FakeClock()
    guarded = Attempts(clock)
    for _ in range(BY_EMAIL.free):
        guarded.begin(ADA, AWAY)
    assert {wait_s(guarded) for _ in range(1000)} == {1.0}
    clock.pass_ns(SECOND_NS)
    assert wait_s(guarded) == 0.0


def test_guesses_at_once_are_bounded_like_guesses_in_a_row() -> None:
    guarded = Attempts(FakeClock())
    assert sum(wait_s(guarded) == 0.0 for _ in range(100)) == BY_EMAIL.free


def test_one_address_trying_many_people_is_slowed_too() -> None:
    guarded = Attempts(FakeClock())
    tried = [wait_s(guarded, f"person{number}@example.org") for number in range(BY_ADDRESS.free + 1)]
    assert tried == [0.0] * BY_ADDRESS.free + [1.0]
    assert wait_s(guarded, "someone@example.org", HOME) == 0.0


def test_strangers_do_not_keep_the_person_out_at_home() -> None:
    clock = FakeClock()
    guarded = Attempts(clock)
    guarded.begin(ADA, HOME)
    guarded.succeeded(ADA, HOME)
    for number in range(60):
        wait_s(guarded, ADA, f"198.51.100.{number}")
    assert wait_s(guarded, ADA, AWAY) > 0
    assert wait_s(guarded, ADA, HOME) == 0.0


def test_success_and_time_forgive() -> None:
    clock = FakeClock()
    guarded = Attempts(clock)
    for _ in range(BY_EMAIL.free):
        guarded.begin(ADA, HOME)
    guarded.succeeded(ADA, HOME)
    assert wait_s(guarded, ADA, HOME) == 0.0
    for _ in range(BY_EMAIL.free):
        wait_s(guarded, "bob@example.org", AWAY)
    clock.pass_ns(BY_EMAIL.free * BY_EMAIL.fades_s * SECOND_NS)
    assert [wait_s(guarded, "bob@example.org", AWAY) for _ in range(BY_EMAIL.free)] == [0.0] * BY_EMAIL.free


def test_what_could_not_be_judged_does_not_count() -> None:
    guarded = Attempts(FakeClock())
    for _ in range(100):
        guarded.begin(ADA, AWAY)
        guarded.void(ADA, AWAY)
    assert wait_s(guarded) == 0.0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "CAPACITY", 50)
    guarded = Attempts(FakeClock())
    for number in range(500):
        wait_s(guarded, f"{number}@example.org", f"10.0.{number // 250}.{number % 250}")
        guarded.succeeded(f"{number}@example.org", f"10.0.{number // 250}.{number % 250}")
    for number in range(500):
        wait_s(guarded, f"{number}@example.com", f"10.1.{number // 250}.{number % 250}")
    assert len(guarded._counts) <= 50 and len(guarded._known) <= 50


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 200), st.booleans())))
def test_nobody_is_ever_shut_out_for_good(steps: list[tuple[str, str, int, bool]]) -> None:
    clock = FakeClock()
    guarded = Attempts(clock)
    for email, address, seconds, right in steps:
        clock.pass_ns(seconds * SECOND_NS)
        waited = wait_s(guarded, email, address)
        assert 0.0 <= waited <= LONGEST_WAIT_S
        if waited == 0.0 and right:
            guarded.succeeded(email, address)
    clock.pass_ns(LONGEST_WAIT_S * SECOND_NS)
    for email in "abc":
        assert wait_s(guarded, email, "elsewhere" + email) == 0.0
