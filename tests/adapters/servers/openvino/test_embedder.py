"""Sentence vectors equal a plain numpy encoder's, alone or padded in a batch."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tramontane.adapters.servers.openvino.embedder import Embedder, batches
from tramontane.adapters.servers.openvino.errors import StepRefused, UnsupportedArchitecture
from tramontane.foundation.errors import ContextExceeded

HIDDEN, INNER, HEADS, LAYERS, VOCAB = 48, 96, 4, 2, 120
CONFIG = {
    "model_type": "bert",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "vocab_size": VOCAB,
    "max_position_embeddings": 64,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}
SENTENCES = [[5, 9, 100, 3], [7] * 30, [1, 2], list(range(40)), [119]]


def random_encoder() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    shapes = {
        "embeddings.word_embeddings.weight": (VOCAB, HIDDEN),
        "embeddings.position_embeddings.weight": (64, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        linear = {f"attention.self.{part}": (HIDDEN, HIDDEN) for part in ("query", "key", "value")}
        linear["attention.output.dense"] = (HIDDEN, HIDDEN)
        linear |= {"intermediate.dense": (INNER, HIDDEN), "output.dense": (HIDDEN, INNER)}
        for part, shape in linear.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
    for norm in norms:
        shapes |= {f"{norm}.weight": (HIDDEN,), f"{norm}.bias": (HIDDEN,)}
    return {name: (rng.standard_normal(shape) * 0.3).astype(np.float32) for name, shape in shapes.items()}


def reference(weights: dict[str, np.ndarray], tokens: list[int], pooling: str) -> np.ndarray:
    def linear(rows: np.ndarray, name: str) -> np.ndarray:
        return rows @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(rows: np.ndarray, name: str) -> np.ndarray:
        centred = rows - rows.mean(-1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def heads(rows: np.ndarray) -> np.ndarray:
        return rows.reshape(len(rows), HEADS, -1).swapaxes(0, 1)

    hidden = weights["embeddings.word_embeddings.weight"][tokens]
    hidden = hidden + weights["embeddings.position_embeddings.weight"][: len(tokens)]
    hidden = norm(hidden + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        query, key, value = (heads(linear(hidden, f"{name}.attention.self.{p}")) for p in ("query", "key", "value"))
        scores = np.exp(query @ key.swapaxes(1, 2) / math.sqrt(HIDDEN // HEADS))
        mixed = (scores / scores.sum(-1, keepdims=True) @ value).swapaxes(0, 1).reshape(len(tokens), HIDDEN)
        attended = linear(mixed, f"{name}.attention.output.dense")
        hidden = norm(hidden + attended, f"{name}.attention.output.LayerNorm")
        inner = linear(hidden, f"{name}.intermediate.dense")
        inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        hidden = norm(hidden + linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    pooled = hidden[0] if pooling == "cls" else hidden.mean(0)
    return pooled / np.linalg.norm(pooled)


def write_encoder(folder: Path, weights: dict[str, np.ndarray], pooling: str = "mean", **changes: object) -> Path:
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}), "utf-8")
    modes = {"pooling_mode_cls_token": pooling == "cls", "pooling_mode_mean_tokens": pooling == "mean"}
    modes["pooling_mode_max_tokens"] = pooling == "max"
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": HIDDEN, **modes}), "utf-8"
    )
    save_file(weights, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("prefix", ["", "bert."])
def test_vectors_are_the_reference_encoders(tmp_path: Path, pooling: str, prefix: str) -> None:
    weights = random_encoder()
    named = {prefix + name: values for name, values in weights.items()}
    embedder = Embedder.load(write_encoder(tmp_path / "m", named, pooling))
    vectors = embedder.embed(SENTENCES)
    expected = np.stack([reference(weights, sentence, pooling) for sentence in SENTENCES])
    assert vectors.shape == (5, HIDDEN) and vectors.dtype == np.float32
    assert ((vectors * expected).sum(1) >= 0.9999).all()
    for sentence, vector in zip(SENTENCES, vectors, strict=True):
        np.testing.assert_allclose(embedder.embed([sentence])[0], vector, atol=1e-4)


def test_bad_input_is_refused_with_both_numbers(tmp_path: Path) -> None:
    embedder = Embedder.load(write_encoder(tmp_path / "m", random_encoder()))
    with pytest.raises(ContextExceeded, match=r"65 tokens.*64"):
        embedder.embed([[1], [1] * 65])
    for bad in ([], [120], [-1]):
        with pytest.raises(StepRefused):
            embedder.embed([[1], bad])
    assert embedder.embed([]).shape == (0, HIDDEN)


@pytest.mark.parametrize(
    ("pooling", "changes", "named"),
    [
        ("max", {}, "pooling_mode_max_tokens"),
        ("mean", {"model_type": "t5"}, "'t5'"),
        ("mean", {"hidden_act": "silu"}, "'silu'"),
    ],
)
def test_another_kind_of_encoder_is_named(tmp_path: Path, pooling: str, changes: dict, named: str) -> None:
    with pytest.raises(UnsupportedArchitecture, match=named):
        Embedder.load(write_encoder(tmp_path / "m", random_encoder(), pooling, **changes))


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 600))
def test_batches_hold_each_index_once_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = list(batches(lengths, budget))
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or max(lengths[index] for index in group) * len(group) <= budget
