"""Writes small models to disk the way the world does: Hugging Face folders and GGUF files.

Uses the format's own libraries, not the project's readers, so that a mistake cannot hide on both sides.
"""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import save_file
from tests.fakes.decoder_reference import Weights, rotary_frequencies

_GGUF_PARTS = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_folder(folder: Path, config: dict[str, Any], weights: Weights, shards: int = 1) -> Path:
    """A folder with `config.json` and one or several safetensors files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    names = sorted(weights)
    if shards == 1:
        save_file(weights, folder / "model.safetensors")
        return folder
    weight_map = {name: f"model-{index % shards}.safetensors" for index, name in enumerate(names)}
    for shard in sorted(set(weight_map.values())):
        save_file({name: weights[name] for name in names if weight_map[name] == shard}, folder / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}), "utf-8")
    return folder


def write_gguf(path: Path, config: dict[str, Any], weights: Weights, kind: gguf.GGMLQuantizationType) -> Path:
    """A GGUF file with matrices of one kind and float32 vectors, q and k permuted where the family's files are."""
    family = config["model_type"]
    writer = gguf.GGUFWriter(path, family)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    for name, values in weights.items():
        if family == "llama" and (".q_proj." in name or ".k_proj." in name):
            values = _interleaved(values, config["head_dim"])
        if values.ndim == 1:
            writer.add_tensor(gguf_name(name), values)
        else:
            writer.add_tensor(gguf_name(name), gguf.quants.quantize(values, kind), raw_dtype=kind)
    if config.get("rope_scaling"):
        plain = rotary_frequencies({**config, "rope_scaling": None}, config["head_dim"])
        factors = plain / rotary_frequencies(config, config["head_dim"])
        writer.add_tensor("rope_freqs.weight", factors.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def fused_parts(config: dict[str, Any], weights: Weights) -> Weights:
    """The same weights with q, k and v in one tensor and gate and up in another, as phi3's files have them."""
    fused = dict(weights)
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        parts = [fused.pop(f"{name}self_attn.{part}_proj.weight") for part in "qkv"]
        fused[f"{name}self_attn.qkv_proj.weight"] = np.concatenate(parts)
        parts = [fused.pop(f"{name}mlp.{part}_proj.weight") for part in ("gate", "up")]
        fused[f"{name}mlp.gate_up_proj.weight"] = np.concatenate(parts)
    return fused


def gguf_name(name: str) -> str:
    """The GGUF name of a Hugging Face tensor."""
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("model.layers."):
        _, _, layer, part = stem.split(".", 3)
        return f"blk.{layer}.{_GGUF_PARTS[part]}.{kind}"
    return f"{_GGUF_PARTS[stem]}.{kind}"


def _interleaved(rows: np.ndarray, head_dim: int) -> np.ndarray:
    """Put element i and i + half of each head side by side, as the converters of that family do."""
    split = rows.reshape(-1, 2, head_dim // 2, *rows.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(rows.shape))
