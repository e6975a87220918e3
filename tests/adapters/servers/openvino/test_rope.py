"""Frequencies keep the promises each scaling is published with."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.openvino.errors import UnsupportedArchitecture
from tramontane.adapters.servers.openvino.rope import scaled_frequencies

DIMENSIONS = st.integers(4, 64).map(lambda half: 2 * half)
THETAS = st.floats(1e3, 1e7)
FACTORS = st.floats(1.5, 64.0)


@given(DIMENSIONS, THETAS)
def test_plain_frequencies_fall_from_one_by_a_constant_ratio(rope_dim: int, theta: float) -> None:
    frequencies, factor = scaled_frequencies(theta, rope_dim, None, 4096)
    assert len(frequencies) == rope_dim // 2 and factor == 1.0
    assert frequencies[0] == 1.0
    ratios = [after / before for before, after in itertools.pairwise(frequencies)]
    assert all(math.isclose(ratio, theta ** (-2 / rope_dim), rel_tol=1e-9) for ratio in ratios)


@given(DIMENSIONS, THETAS, FACTORS)
def test_linear_scaling_divides_every_frequency(rope_dim: int, theta: float, factor: float) -> None:
    plain, _ = scaled_frequencies(theta, rope_dim, {"rope_type": "default"}, 4096)
    scaled, _ = scaled_frequencies(theta, rope_dim, {"type": "linear", "factor": factor}, 4096)
    assert all(math.isclose(a / b, factor, rel_tol=1e-9) for a, b in zip(plain, scaled, strict=True))


@given(DIMENSIONS, THETAS, FACTORS, st.sampled_from(["llama3", "yarn"]))
def test_partial_scalings_stay_between_plain_and_divided(rope_dim: int, theta: float, factor: float, kind: str) -> None:
    scaling = {
        "rope_type": kind,
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    plain, _ = scaled_frequencies(theta, rope_dim, None, 8192)
    scaled, attention = scaled_frequencies(theta, rope_dim, scaling, int(8192 * factor))
    assert all(a / factor * (1 - 1e-9) <= b <= a * (1 + 1e-9) for a, b in zip(plain, scaled, strict=True))
    assert math.isclose(scaled[0], 1.0)
    expected = 0.1 * math.log(factor) + 1.0 if kind == "yarn" else 1.0
    assert math.isclose(attention, expected)


def test_llama3_divides_slow_frequencies_and_keeps_fast_ones() -> None:
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    plain, _ = scaled_frequencies(500000.0, 128, None, 131072)
    scaled, _ = scaled_frequencies(500000.0, 128, scaling, 131072)
    for before, after in zip(plain, scaled, strict=True):
        wavelength = 2 * math.pi / before
        if wavelength < 8192 / 4:
            assert math.isclose(after, before)
        if wavelength > 8192:
            assert math.isclose(after, before / 8)


def test_an_unknown_scaling_is_named() -> None:
    with pytest.raises(UnsupportedArchitecture, match=r"'longrope'.*llamacpp"):
        scaled_frequencies(1e4, 64, {"rope_type": "longrope"}, 4096)
