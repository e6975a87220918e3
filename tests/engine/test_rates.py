"""Token buckets: what they admit never exceeds the rate, and waits are what they say."""

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.engine_world import caller

from tramontane.engine import rates
from tramontane.engine.rates import MINUTE_NS, Bucket, KeyRates, full, refill, take

SECOND_NS = 10**9
AMOUNTS = st.integers(1, 500)


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.integers(0, 20 * SECOND_NS), AMOUNTS), max_size=60),
)
def test_what_is_admitted_stays_within_a_full_bucket_and_the_rate(
    per_minute: int, arrivals: list[tuple[int, int]]
) -> None:
    bucket, now_ns, admitted, largest = full(per_minute, 0), 0, 0, 0
    for gap_ns, amount in arrivals:
        now_ns += gap_ns
        bucket, wait_s = take(bucket, per_minute, amount, now_ns)
        if not wait_s:
            admitted += amount
            largest = max(largest, amount)
    assert admitted * MINUTE_NS <= per_minute * MINUTE_NS + now_ns * per_minute + largest * MINUTE_NS


@given(st.integers(1, 1000), st.integers(-(10**14), 10**13), AMOUNTS)
def test_after_the_wait_it_says_the_amount_is_granted(per_minute: int, level: int, amount: int) -> None:
    bucket = refill(Bucket(level, 0), per_minute, 0)
    bucket, wait_s = take(bucket, per_minute, amount, 0)
    # A nanosecond more makes up for the division.
    _, again_s = take(bucket, per_minute, amount, int(wait_s * 1e9) + 1000)
    assert wait_s >= 0
    if wait_s:
        assert again_s == 0


@given(st.integers(1, 1000), st.integers(0, 10**12), st.integers(0, 10**12))
def test_refilling_in_two_steps_is_refilling_once_and_time_backwards_gives_nothing(
    per_minute: int, first_ns: int, second_ns: int
) -> None:
    empty = Bucket(0, 0)
    once = refill(empty, per_minute, first_ns + second_ns)
    assert refill(refill(empty, per_minute, first_ns), per_minute, first_ns + second_ns) == once
    assert refill(once, per_minute, 0).level == once.level


def test_no_limit_admits_everything_and_shows_nothing() -> None:
    limits, who = KeyRates(), caller()
    assert limits.take_request(who, 0) == 0 and limits.reserve_tokens(who, 10**9, 0) == 0
    limits.settle_tokens(who, 5, 1, 0)
    assert limits.views(who, 0).requests is None and limits.views(who, 0).tokens is None


def test_own_limits_go_before_the_defaults_and_keys_are_apart() -> None:
    limits = KeyRates(1, 1000)
    generous, plain = caller(key_id="a", requests_per_minute=2), caller(key_id="b")
    assert limits.take_request(generous, 0) == 0 and limits.take_request(generous, 0) == 0
    assert limits.take_request(plain, 0) == 0
    assert limits.take_request(generous, 0) == 30 and limits.take_request(plain, 0) == 60
    shown = limits.views(generous, 0).requests
    assert shown is not None and (shown.limit, shown.remaining, shown.reset_s) == (2, 0, 60)


def test_what_was_reserved_and_not_spent_comes_back_and_overdraft_is_paid_later() -> None:
    limits, who = KeyRates(0, 600), caller()
    assert limits.reserve_tokens(who, 600, 0) == 0
    assert limits.reserve_tokens(who, 100, 0) == 10
    limits.settle_tokens(who, 600, 500, 0)
    assert limits.reserve_tokens(who, 100, 0) == 0
    limits.settle_tokens(who, 100, 300, 0)
    assert limits.reserve_tokens(who, 100, 0) == 30
    tokens = limits.views(who, 0).tokens
    assert tokens is not None and tokens.remaining == 0


def test_more_than_a_minutes_worth_passes_from_a_full_bucket() -> None:
    limits, who = KeyRates(0, 100), caller()
    assert limits.reserve_tokens(who, 1000, 0) == 0
    assert limits.reserve_tokens(who, 1, 0) == 541 - 0.4


def test_the_table_of_keys_is_bounded() -> None:
    limits = KeyRates(10)
    for number in range(rates.MAX_KEYS + 10):
        limits.take_request(caller(key_id=str(number)), 0)
    assert len(limits._keys) == rates.MAX_KEYS
