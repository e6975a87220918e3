"""A decoder in plain numpy, float32, one sequence at a time: what the graphs are measured against.

Knows the published layers of the families and nothing of OpenVINO, caches or the project's own readers.
"""

from typing import Any

import numpy as np

Weights = dict[str, np.ndarray]


def random_config(model_type: str, **changes: Any) -> dict[str, Any]:
    """A two-layer configuration in Hugging Face's words."""
    config = {
        "model_type": model_type,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "vocab_size": 320,
        "max_position_embeddings": 512,
        "rope_theta": 10000.0,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return {**config, **changes}


def random_weights(config: dict[str, Any], seed: int = 0) -> Weights:
    """Weights under Hugging Face's names, large enough that positions and heads matter."""
    rng = np.random.default_rng(seed)
    hidden, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    query = config["num_attention_heads"] * config["head_dim"]
    key = config["num_key_value_heads"] * config["head_dim"]

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) * 1.5 / np.sqrt(columns)).astype(np.float32)

    def norm(size: int) -> np.ndarray:
        return (1 + 0.2 * rng.standard_normal(size)).astype(np.float32)

    weights = {"model.embed_tokens.weight": matrix(vocab, hidden) * 4, "model.norm.weight": norm(hidden)}
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        weights[name + "input_layernorm.weight"] = norm(hidden)
        weights[name + "post_attention_layernorm.weight"] = norm(hidden)
        for part, rows in (("q_proj", query), ("k_proj", key), ("v_proj", key)):
            weights[name + f"self_attn.{part}.weight"] = matrix(rows, hidden)
            if config["model_type"] == "qwen2":
                weights[name + f"self_attn.{part}.bias"] = matrix(1, rows)[0]
        weights[name + "self_attn.o_proj.weight"] = matrix(hidden, query)
        if config["model_type"] == "qwen3":
            weights[name + "self_attn.q_norm.weight"] = norm(config["head_dim"])
            weights[name + "self_attn.k_norm.weight"] = norm(config["head_dim"])
        weights[name + "mlp.gate_proj.weight"] = matrix(inner, hidden)
        weights[name + "mlp.up_proj.weight"] = matrix(inner, hidden)
        weights[name + "mlp.down_proj.weight"] = matrix(hidden, inner)
    if not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = matrix(vocab, hidden) * 2
    return weights


def rounded_to_int8_rows(weights: Weights) -> Weights:
    """The weights as they come back from one signed byte per element and one scale per row."""
    rounded = {}
    for name, values in weights.items():
        if values.ndim == 2:
            scale = np.abs(values).max(axis=1, keepdims=True) / np.float32(127)
            values = np.rint(values / scale) * scale
        rounded[name] = values
    return rounded


def reference_logits(config: dict[str, Any], weights: Weights, tokens: list[int]) -> np.ndarray:
    """Logits [T, V] of one sequence."""
    eps = config["rms_norm_eps"]
    hidden = weights["model.embed_tokens.weight"][tokens]
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        normed = _rms(hidden, weights[name + "input_layernorm.weight"], eps)
        hidden = hidden + _attention(config, weights, name + "self_attn.", normed)
        normed = _rms(hidden, weights[name + "post_attention_layernorm.weight"], eps)
        gate = normed @ weights[name + "mlp.gate_proj.weight"].T
        inner = gate / (1 + np.exp(-gate)) * (normed @ weights[name + "mlp.up_proj.weight"].T)
        hidden = hidden + inner @ weights[name + "mlp.down_proj.weight"].T
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return _rms(hidden, weights["model.norm.weight"], eps) @ head.T


def _rms(rows: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return rows / np.sqrt((rows**2).mean(-1, keepdims=True) + eps) * weight


def _attention(config: dict[str, Any], weights: Weights, name: str, rows: np.ndarray) -> np.ndarray:
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    count = len(rows)

    def project(part: str, parts: int) -> np.ndarray:
        flat = rows @ weights[f"{name}{part}_proj.weight"].T + weights.get(f"{name}{part}_proj.bias", 0)
        return flat.reshape(count, parts, config["head_dim"])

    query, key, value = project("q", heads), project("k", groups), project("v", groups)
    if config["model_type"] == "qwen3":
        query = _rms(query, weights[name + "q_norm.weight"], config["rms_norm_eps"])
        key = _rms(key, weights[name + "k_norm.weight"], config["rms_norm_eps"])
    query, key = _rotated(config, query), _rotated(config, key)
    key, value = key.repeat(heads // groups, 1), value.repeat(heads // groups, 1)
    scores = np.einsum("qhd,khd->hqk", query, key) / np.sqrt(config["head_dim"])
    distance = np.arange(count)[:, None] - np.arange(count)[None, :]
    window = config.get("sliding_window") or count
    scores = np.where((distance >= 0) & (distance < window), scores, -np.inf)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", shares, value).reshape(count, -1) @ weights[name + "o_proj.weight"].T


def _rotated(config: dict[str, Any], heads: np.ndarray) -> np.ndarray:
    """Pair (x[i], x[i + half]) of each head's rotating part turned by position times frequency i."""
    rotating = int(config["head_dim"] * config.get("partial_rotary_factor", 1.0))
    half = rotating // 2
    angles = np.arange(len(heads))[:, None, None] * rotary_frequencies(config, rotating)
    stretch = (config.get("rope_scaling") or {}).get("attention_factor", 1.0)
    cosine, sine = np.cos(angles) * stretch, np.sin(angles) * stretch
    first, second, still = heads[..., :half], heads[..., half:rotating], heads[..., rotating:]
    turned = [first * cosine - second * sine, second * cosine + first * sine, still]
    return np.concatenate(turned, -1).astype(np.float32)


def rotary_frequencies(config: dict[str, Any], rotating: int) -> np.ndarray:
    """Radians per token of each rotating pair."""
    frequencies = config["rope_theta"] ** (-np.arange(rotating // 2) / (rotating // 2))
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type") == "linear":
        return frequencies / scaling["factor"]
    if scaling.get("rope_type") == "llama3":
        return np.array([_llama3_frequency(value, scaling) for value in frequencies])
    return frequencies


def _llama3_frequency(frequency: float, scaling: dict[str, Any]) -> float:
    wavelength = 2 * np.pi / frequency
    original = scaling["original_max_position_embeddings"]
    if wavelength < original / scaling["high_freq_factor"]:
        return frequency
    if wavelength > original / scaling["low_freq_factor"]:
        return frequency / scaling["factor"]
    smooth = (original / wavelength - scaling["low_freq_factor"]) / (
        scaling["high_freq_factor"] - scaling["low_freq_factor"]
    )
    return (1 - smooth) * frequency / scaling["factor"] + smooth * frequency
