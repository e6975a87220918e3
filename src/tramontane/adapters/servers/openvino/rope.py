"""Rotary position frequencies, with the scalings models declare for longer contexts.

Knows the arithmetic of plain, linear, Llama 3 and YaRN frequencies; knows no file format and no graph.
`architecture` calls it once per model, so the graph only ever sees finished frequencies.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tramontane.adapters.servers.openvino.errors import UnsupportedArchitecture

SUPPORTED_SCALINGS = ("default", "linear", "llama3", "yarn")


def plain_frequencies(theta: float, rope_dim: int) -> np.ndarray:
    """Inverse frequencies [rope_dim/2] in radians per token."""
    return theta ** -(np.arange(0, rope_dim, 2, dtype=np.float64) / rope_dim)


def scaled_frequencies(
    theta: float, rope_dim: int, scaling: Mapping[str, Any] | None, context_tokens: int
) -> tuple[tuple[float, ...], float]:
    """Inverse frequencies [rope_dim/2] and the factor on cosine and sine, for a Hugging Face `rope_scaling` mapping.

    Raises UnsupportedArchitecture for a scaling that is not in SUPPORTED_SCALINGS.
    """
    plain = plain_frequencies(theta, rope_dim)
    scaling = scaling or {}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "default":
        return _tuple(plain), 1.0
    if kind == "linear":
        return _tuple(plain / float(scaling["factor"])), 1.0
    if kind == "llama3":
        return _tuple(_llama3(plain, scaling)), 1.0
    if kind == "yarn":
        return _yarn(plain, theta, rope_dim, scaling, context_tokens)
    raise UnsupportedArchitecture(
        f"rope_scaling type {kind!r} has no graph here (supported: {', '.join(SUPPORTED_SCALINGS)}); "
        "serve this model with the engine llamacpp"
    )


def _tuple(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _llama3(plain: np.ndarray, scaling: Mapping[str, Any]) -> np.ndarray:
    factor = float(scaling["factor"])
    low = float(scaling["low_freq_factor"])
    high = float(scaling["high_freq_factor"])
    turns = float(scaling["original_max_position_embeddings"]) * plain / (2 * math.pi)
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return plain * kept + plain / factor * (1.0 - kept)


def _yarn(
    plain: np.ndarray, theta: float, rope_dim: int, scaling: Mapping[str, Any], context_tokens: int
) -> tuple[tuple[float, ...], float]:
    original = float(scaling.get("original_max_position_embeddings") or context_tokens)
    factor = float(scaling.get("factor") or context_tokens / original)

    def dimension_turning(turns: float) -> float:
        return rope_dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(dimension_turning(float(scaling.get("beta_fast") or 32))), 0)
    high = min(math.ceil(dimension_turning(float(scaling.get("beta_slow") or 1))), rope_dim - 1)
    ramp = np.clip((np.arange(rope_dim // 2) - low) / max(high - low, 0.001), 0.0, 1.0)
    frequencies = plain / factor * ramp + plain * (1.0 - ramp)
    attention = scaling.get("attention_factor")
    if attention is None:
        attention = _yarn_attention_factor(factor, scaling)
    return _tuple(frequencies), float(attention)


def _yarn_attention_factor(factor: float, scaling: Mapping[str, Any]) -> float:
    def magnitude(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    weight, weight_all = scaling.get("mscale"), scaling.get("mscale_all_dim")
    if weight and weight_all:
        return magnitude(float(weight)) / magnitude(float(weight_all))
    return magnitude(1.0)
