"""Who is refused, by whose doing, and when to come back."""

import math

from hypothesis import given
from hypothesis import strategies as st

from tramontane.engine.admission import (
    LineView,
    full_line,
    long_wait,
    own_limit,
    poisoned,
    rate_limited,
    retry_after_s,
)
from tramontane.engine.nouns import Policy
from tramontane.foundation.errors import Overloaded, RateLimited

POLICY = Policy(max_waiting=256, max_waiting_per_workspace=32)


def view(**fields: object) -> LineView:
    known: dict[str, object] = {
        "own_waiting": 0,
        "waiting": 0,
        "waiting_prompt_tokens": 0,
        "predicted_wait_s": 0.0,
    }
    return LineView(**{**known, **fields})  # type: ignore[arg-type]


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1), st.integers(1, 60))
def test_retry_after_is_always_whole_seconds_in_range(seconds: float, jitter: float, most: int) -> None:
    wait_s = retry_after_s(seconds, jitter, most)
    assert isinstance(wait_s, int) and 1 <= wait_s <= most
    if not math.isnan(seconds) and 1 <= seconds <= most / 1.2 - 1:
        assert seconds <= wait_s <= seconds * 1.2 + 1


def test_an_unknown_wait_is_a_short_one() -> None:
    assert retry_after_s(math.nan, 1.0) == 1 and retry_after_s(math.inf, 1.0) == 60


def test_jitter_keeps_callers_from_returning_together() -> None:
    assert {retry_after_s(20, step / 10) for step in range(11)} >= {20, 22, 24}


def test_a_full_line_of_ones_own_is_the_callers_doing() -> None:
    refused = full_line(view(own_waiting=32, waiting=32, predicted_wait_s=9.0), POLICY, 0.0)
    assert isinstance(refused, RateLimited) and refused.retry_after_s == 9
    assert full_line(view(own_waiting=31, waiting=31), POLICY, 0.0) is None
    assert own_limit(POLICY) == 32 and own_limit(Policy(max_waiting=3)) == 2 and own_limit(Policy(max_waiting=20)) == 10


def test_a_full_line_of_all_is_ours_but_a_newcomer_still_joins() -> None:
    refused = full_line(view(own_waiting=1, waiting=256, predicted_wait_s=99.0), POLICY, 1.0)
    assert isinstance(refused, Overloaded) and refused.retry_after_s == 30
    assert full_line(view(waiting=256), POLICY, 0.0) is None
    assert isinstance(full_line(view(waiting=512), POLICY, 0.0), Overloaded)


def test_a_wait_longer_than_allowed_is_refused_before_it_begins() -> None:
    refused = long_wait(view(predicted_wait_s=42.0), 10, 30.0, POLICY, 0.0)
    assert refused is not None and refused.retry_after_s == 12 and "42 s" in refused.message
    assert long_wait(view(predicted_wait_s=30.0), 10, 30.0, POLICY, 0.0) is None


def test_the_prompts_in_the_line_are_bounded_but_one_alone_may_always_wait() -> None:
    assert long_wait(view(waiting=1, waiting_prompt_tokens=1_999_999), 2, 30.0, POLICY, 0.0) is not None
    assert long_wait(view(), 3_000_000, 30.0, POLICY, 0.0) is None


def test_refusals_name_the_cure() -> None:
    refused = rate_limited("tokens", 600, 7.2, 0.0)
    assert refused.retry_after_s == 8 and "600 tokens a minute" in refused.message
    assert poisoned().code == "request_quarantined"
