"""Moments as callers see them."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.foundation.clock import iso_time

YEAR_2100_NS = 4_102_444_800_000_000_000


@pytest.mark.parametrize(
    ("time_ns", "written"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000_000_000_000, "2023-11-14T22:13:20Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456Z"),
        (1_700_000_000_000_000_999, "2023-11-14T22:13:20Z"),
        (1_700_000_000_999_999_999, "2023-11-14T22:13:20.999999Z"),
    ],
)
def test_a_moment_is_written_to_the_microsecond(time_ns: int, written: str) -> None:
    assert iso_time(time_ns) == written


def test_less_of_it_is_cut_off_and_not_rounded() -> None:
    assert iso_time(1_700_000_000_999_999_999, "milliseconds") == "2023-11-14T22:13:20.999Z"
    assert iso_time(1_700_000_000_000_000_000, "milliseconds") == "2023-11-14T22:13:20.000Z"


@given(st.integers(0, YEAR_2100_NS))
def test_it_reads_back_exactly(time_ns: int) -> None:
    read = datetime.datetime.fromisoformat(iso_time(time_ns))
    since = read - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    assert since // datetime.timedelta(microseconds=1) == time_ns // 1000


@given(st.integers(0, YEAR_2100_NS), st.integers(0, YEAR_2100_NS))
def test_moments_that_differ_by_a_second_sort_as_they_follow(one: int, other: int) -> None:
    first, second = (moment // 1_000_000_000 * 1_000_000_000 for moment in (one, other))
    assert (iso_time(first) < iso_time(second)) == (first < second)
