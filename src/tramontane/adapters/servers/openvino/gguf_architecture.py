"""The architecture in a GGUF file's header.

Knows the header's field names, and of the tensors only those that describe the shape. `gguf_tensors` calls it when it
opens a file.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tramontane.adapters.servers.openvino.architecture import Architecture, unsupported
from tramontane.adapters.servers.openvino.errors import ModelFileError
from tramontane.adapters.servers.openvino.families import SUPPORTED_FAMILIES
from tramontane.adapters.servers.openvino.gguf_file import GgufFile
from tramontane.adapters.servers.openvino.rope import scaled_frequencies

_ROPE_FACTORS = "rope_freqs.weight"


def from_gguf(file: GgufFile) -> Architecture:
    """The shape of the model in a file. Raises ModelFileError for a missing field, UnsupportedArchitecture by name."""
    fields, tensors, family = file.header.values, file.names(), file.header.architecture
    if family not in SUPPORTED_FAMILIES:
        raise unsupported(f"general.architecture {family!r}")
    if fields.get(f"{family}.expert_count"):
        raise unsupported(f"{family} with a mixture of experts")
    if any(name.startswith("rope_factors_") for name in tensors):
        raise unsupported("rope_scaling type 'longrope'")
    factors = file.widen(_ROPE_FACTORS, file.raw_rows(_ROPE_FACTORS)) if _ROPE_FACTORS in tensors else None
    try:
        return _from_gguf_values(family, fields, tensors, factors, file.shape("token_embd.weight")[0])
    except KeyError as error:
        raise ModelFileError(f"GGUF header: field {error} is missing; fetch the file again") from error
    except TypeError:
        raise unsupported(f"{family} whose layers differ from one another") from None


def _from_gguf_values(
    family: str, fields: Mapping[str, Any], tensors: frozenset[str], factors: np.ndarray | None, vocab_size: int
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
    )
