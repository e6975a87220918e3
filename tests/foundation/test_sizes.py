"""Sizes are said in one decimal unit, and never as a thousand of the smaller one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.foundation.sizes import GIGA, size_text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (999_999, "999,999 bytes"),
        (10**6, "1 MB"),
        (98_362_432, "98 MB"),
        (999_499_999, "999 MB"),
        (999_500_000, "1.00 GB"),
        (536_870_912, "537 MB"),
        (24_500_000_000, "24.50 GB"),
    ],
)
def test_sizes_as_people_say_them(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@given(st.integers(10**6, 10**15))
def test_what_is_said_is_near_what_is_meant(size_bytes: int) -> None:
    number, unit = size_text(size_bytes).split()
    said_bytes = float(number) * {"GB": GIGA, "MB": 10**6}[unit]
    assert abs(said_bytes - size_bytes) <= max(500_000, 0.005 * GIGA) + 1e-6 * size_bytes
