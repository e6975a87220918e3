"""The measured rate, the length and the waits derived from it, and the patience that shrinks under a standing line."""

from hypothesis import given
from hypothesis import strategies as st

from tramontane.engine.nouns import SECOND_NS
from tramontane.engine.service_rate import Patience, ServiceRate, predicted_wait_s


def test_only_time_with_somebody_waiting_is_measured() -> None:
    rate = ServiceRate()
    rate.served(10_000)
    assert rate.per_s(0) is None
    rate.saturated(True, SECOND_NS)
    rate.served(500)
    rate.saturated(True, 2 * SECOND_NS)
    rate.served(700)
    rate.saturated(False, 3 * SECOND_NS)
    rate.served(10_000)
    assert rate.per_s(3 * SECOND_NS) == 600
    assert rate.per_s(300 * SECOND_NS) == 600
    rate.saturated(True, 300 * SECOND_NS)
    rate.served(90)
    rate.saturated(False, 301 * SECOND_NS)
    assert rate.per_s(301 * SECOND_NS) == 90


@given(st.lists(st.tuples(st.integers(1, 400_000_000), st.integers(0, 1000)), min_size=1, max_size=80))
def test_the_rate_is_work_by_time_however_it_is_cut(spans: list[tuple[int, int]]) -> None:
    rate, now_ns, work = ServiceRate(), 0, 0
    rate.saturated(True, 0)
    for span_ns, served in spans:
        now_ns += span_ns
        work += served
        rate.served(served)
        rate.saturated(True, now_ns)
    measured = rate.per_s(now_ns)
    if now_ns < SECOND_NS:
        assert measured is None
    else:
        assert measured is not None and abs(measured - work * SECOND_NS / now_ns) < 1e-6 * max(1, measured)
    assert len(rate._slices) <= now_ns // SECOND_NS + 2


def test_the_mean_follows_how_long_answers_are() -> None:
    rate = ServiceRate()
    rate.ended(10)
    assert rate.tokens_per_request == 10
    rate.ended(26)
    assert rate.tokens_per_request == 11


def test_a_quiet_workspace_does_not_wait_for_a_flooders_whole_line() -> None:
    assert predicted_wait_s(0, 1, [(100_000, 1)], 100.0) == 0
    assert predicted_wait_s(100, 1, [(100_000, 1)], 100.0) == 2
    assert predicted_wait_s(100, 2, [(100_000, 1)], 100.0) == 1.5
    assert predicted_wait_s(100_000, 1, [(100, 1)], 100.0) == 1001
    assert predicted_wait_s(100, 1, [(1, 1)], None) == 0


def test_patience_shrinks_when_even_the_luckiest_waits_and_comes_back() -> None:
    patience = Patience(30)
    for second in range(12):
        patience.waited(6 * SECOND_NS, second * SECOND_NS)
    assert patience.wait_s == 5
    patience.waited(4 * SECOND_NS, 13 * SECOND_NS)
    assert patience.wait_s == 30
    for second in range(14, 26):
        patience.waited((1 if second == 20 else 9) * SECOND_NS, second * SECOND_NS)
    assert patience.wait_s == 30
    for second in range(26, 50):
        patience.waited(9 * SECOND_NS, second * SECOND_NS)
    assert patience.wait_s == 5
    patience.nobody_waits()
    assert patience.wait_s == 30
