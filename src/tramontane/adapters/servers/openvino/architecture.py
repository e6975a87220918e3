"""The shape of a decoder model: everything the graph must know besides the weights.

Reads it from a GGUF header or a Hugging Face `config.json` and keeps it in `engine.json`; knows no tensor.
A family or feature without a graph raises `UnsupportedArchitecture`, which names it and what is supported.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader

from tramontane.adapters.servers.openvino.errors import ModelFileError, UnsupportedArchitecture
from tramontane.adapters.servers.openvino.families import SUPPORTED_FAMILIES
from tramontane.adapters.servers.openvino.rope import scaled_frequencies

_GGUF_LONG_FIELDS = (
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.merges",
)


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
    bos_ids: tuple[int, ...]
    eos_ids: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Architecture":
        """The architecture kept in `engine.json`. Raises ModelFileError when a field is missing or unknown."""
        try:
            known: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
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
    """Read `config.json` (and `generation_config.json` where present) of a Hugging Face folder."""
    config = _read_json(folder / "config.json")
    generation_path = folder / "generation_config.json"
    generation = _read_json(generation_path) if generation_path.exists() else {}
    family = str(config.get("model_type"))
    if family not in SUPPORTED_FAMILIES:
        raise unsupported(f"model_type {family!r}")
    _refuse_config_features(config)
    try:
        return _from_config_values(family, config, generation)
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


def _from_config_values(family: str, config: Mapping[str, Any], generation: Mapping[str, Any]) -> Architecture:
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
        bos_ids=_ids(generation.get("bos_token_id", config.get("bos_token_id"))),
        eos_ids=_ids(generation.get("eos_token_id", config.get("eos_token_id"))),
    )


def from_gguf(reader: GGUFReader) -> Architecture:
    """Read the header of an open GGUF file; the caller has validated the file's structure."""
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith(_GGUF_LONG_FIELDS)}
    tensors = {tensor.name for tensor in reader.tensors}
    family = str(fields.get("general.architecture"))
    if family not in SUPPORTED_FAMILIES:
        raise unsupported(f"general.architecture {family!r}")
    if fields.get(f"{family}.expert_count"):
        raise unsupported(f"{family} with a mixture of experts")
    if any(name.startswith("rope_factors_") for name in tensors):
        raise unsupported("rope_scaling type 'longrope'")
    factors = next((tensor.data for tensor in reader.tensors if tensor.name == "rope_freqs.weight"), None)
    try:
        return _from_gguf_values(family, fields, tensors, factors, _gguf_vocab_size(reader))
    except KeyError as error:
        raise ModelFileError(f"GGUF header: field {error} is missing; fetch the file again") from error


def _from_gguf_values(
    family: str, fields: Mapping[str, Any], tensors: set[str], factors: np.ndarray | None, vocab_size: int
) -> Architecture:
    def field(name: str, default: Any = None) -> Any:
        return fields[f"{family}.{name}"] if default is None else fields.get(f"{family}.{name}", default)

    heads = int(field("attention.head_count"))
    hidden = int(field("embedding_length"))
    head_dim = int(field("attention.key_length", hidden // heads))
    rope_dim = int(field("rope.dimension_count", head_dim))
    context = int(field("context_length"))
    scaling = {
        "type": {"none": "default"}.get(kind := str(field("rope.scaling.type", "none")), kind),
        "factor": field("rope.scaling.factor", 1.0),
        "original_max_position_embeddings": field("rope.scaling.original_context_length", 0),
    }
    frequencies, attention_factor = scaled_frequencies(
        float(field("rope.freq_base", 10_000.0)), rope_dim, scaling, context
    )
    if factors is not None:
        frequencies = tuple(float(value) for value in np.asarray(frequencies) / np.asarray(factors, np.float64))
    window = int(field("attention.sliding_window", 0) or 0)
    return Architecture(
        family=family,
        layers=int(field("block_count")),
        hidden=hidden,
        intermediate=int(field("feed_forward_length")),
        heads=heads,
        kv_heads=int(field("attention.head_count_kv", heads)),
        head_dim=head_dim,
        vocab_size=vocab_size,
        context_tokens=context,
        norm_eps=float(field("attention.layer_norm_rms_epsilon")),
        tied_head="output.weight" not in tensors,
        qkv_bias="blk.0.attn_q.bias" in tensors or "blk.0.attn_qkv.bias" in tensors,
        output_bias="blk.0.attn_output.bias" in tensors,
        qk_norm="blk.0.attn_q_norm.weight" in tensors,
        sliding_window=window if window < context else 0,
        rope_dim=rope_dim,
        rope_frequencies=frequencies,
        rope_attention_factor=attention_factor,
        bos_ids=_ids(fields.get("tokenizer.ggml.bos_token_id")),
        eos_ids=tuple(
            sorted({i for key in ("eos", "eot", "eom") for i in _ids(fields.get(f"tokenizer.ggml.{key}_token_id"))})
        ),
    )


def _gguf_vocab_size(reader: GGUFReader) -> int:
    for tensor in reader.tensors:
        if tensor.name == "token_embd.weight":
            return int(tensor.shape[1])
    raise ModelFileError("GGUF: tensor 'token_embd.weight' is missing; fetch the file again")


def _ids(value: Any) -> tuple[int, ...]:
    if value is None:
        return ()
    return tuple(int(item) for item in value) if isinstance(value, list | tuple) else (int(value),)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path}: not readable as JSON ({error}); fetch the file again") from error
    if not isinstance(values, dict):
        raise ModelFileError(f"{path}: expected a JSON object; fetch the file again")
    return values
