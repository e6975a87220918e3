"""The shape of a decoder model: everything the graph must know besides the weights.

Reads it from a Hugging Face `config.json` and keeps it in `engine.json`; knows no tensor, and leaves GGUF headers to
`gguf_architecture`, whose library is slow to import and which the engine process therefore must not need.
A family or feature without a graph raises `UnsupportedArchitecture`, which names it and what is supported.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tramontane.adapters.formats.json_file import read_object
from tramontane.adapters.servers.openvino.errors import ModelFileError, UnsupportedArchitecture, refused_as_damaged
from tramontane.adapters.servers.openvino.families import SUPPORTED_FAMILIES
from tramontane.adapters.servers.openvino.rope import scaled_frequencies

RETIRED_FIELDS = frozenset({"bos_ids", "eos_ids"})
"""What folders prepared earlier still say; the model's words know it better."""


@dataclass(frozen=True)
class Architecture:
    """A dense decoder of the Llama kind. Sizes are element counts, `context_tokens` a token count."""

    family: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab_size: int
    context_tokens: int
    norm_eps: float
    tied_head: bool
    qkv_bias: bool
    output_bias: bool
    qk_norm: bool
    sliding_window: int  # tokens attended to; 0 for all
    rope_dim: int  # leading elements of a head that rotate
    rope_frequencies: tuple[float, ...]  # [rope_dim/2] radians per token
    rope_attention_factor: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Architecture":
        """The architecture kept in `engine.json`. Raises ModelFileError when a field is missing or unknown."""
        try:
            known: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in values.items()
                if key not in RETIRED_FIELDS
            }
            return cls(**known)
        except TypeError as error:
            raise ModelFileError(f"engine.json: architecture: {error}; prepare the model again") from error


def unsupported(what: str) -> UnsupportedArchitecture:
    """The error for a model that has no graph here, ready to raise."""
    return UnsupportedArchitecture(
        f"{what} has no graph in the embedded engine (supported families: {', '.join(SUPPORTED_FAMILIES)}); "
        "serve this model with the engine llamacpp"
    )


def from_config(folder: Path) -> Architecture:
    """Read `config.json` of a Hugging Face folder."""
    config = read_settings(folder / "config.json")
    family = str(config.get("model_type"))
    if family not in SUPPORTED_FAMILIES:
        raise unsupported(f"model_type {family!r}")
    _refuse_config_features(config)
    try:
        return _from_config_values(family, config)
    except KeyError as error:
        raise ModelFileError(f"{folder / 'config.json'}: field {error} is missing; fetch the file again") from error


def _refuse_config_features(config: Mapping[str, Any]) -> None:
    if config.get("hidden_act", "silu") not in ("silu", "swish"):
        raise unsupported(f"hidden_act {config['hidden_act']!r}")
    if config.get("mlp_bias"):
        raise unsupported("mlp_bias")
    if config.get("use_sliding_window"):
        raise unsupported("use_sliding_window on part of the layers")
    if config.get("quantization_config"):
        raise unsupported("quantization_config (weights already quantised)")


def _from_config_values(family: str, config: Mapping[str, Any]) -> Architecture:
    heads = int(config["num_attention_heads"])
    hidden = int(config["hidden_size"])
    head_dim = int(config.get("head_dim") or hidden // heads)
    rope = dict(config.get("rope_scaling") or config.get("rope_parameters") or {})
    theta = float(config.get("rope_theta") or rope.get("rope_theta") or 10_000.0)
    rope_dim = int(head_dim * float(config.get("partial_rotary_factor") or rope.get("partial_rotary_factor") or 1.0))
    context = int(config["max_position_embeddings"])
    frequencies, factor = scaled_frequencies(theta, rope_dim, rope, context)
    window = config.get("sliding_window") if family in ("mistral", "phi3") else None
    return Architecture(
        family=family,
        layers=int(config["num_hidden_layers"]),
        hidden=hidden,
        intermediate=int(config["intermediate_size"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=head_dim,
        vocab_size=int(config["vocab_size"]),
        context_tokens=context,
        norm_eps=float(config["rms_norm_eps"]),
        tied_head=bool(config.get("tie_word_embeddings", False)),
        qkv_bias=family == "qwen2" or bool(config.get("attention_bias")),
        output_bias=bool(config.get("attention_bias")) and family != "qwen2",
        qk_norm=family == "qwen3",
        sliding_window=int(window) if window and int(window) < context else 0,
        rope_dim=rope_dim,
        rope_frequencies=frequencies,
        rope_attention_factor=factor,
    )


def read_settings(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """A JSON object of a model's folder; empty where an optional file is missing. Raises ModelFileError."""
    with refused_as_damaged():
        return read_object(path, optional=optional)
