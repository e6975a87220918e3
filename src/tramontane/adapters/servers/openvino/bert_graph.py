"""The graph of a BERT encoder with pooling: padded token ids and a mask in, unit vectors out.

Knows the encoder's layers and how token vectors become one vector; knows no tokenizer and no batching. `embedder`
compiles what this builds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as opset

from tramontane.adapters.servers.openvino.distribution import integers
from tramontane.adapters.servers.openvino.safetensors_file import SafetensorsFile


@dataclass(frozen=True)
class BertArchitecture:
    """Sizes are element counts; `max_tokens` is the longest input, special tokens included."""

    layers: int
    hidden: int
    heads: int
    norm_eps: float
    max_tokens: int
    vocab_size: int
    activation: str  # gelu (erf), gelu_new (tanh) or relu
    pooling: str  # mean or cls


def build_bert(architecture: BertArchitecture, weights: SafetensorsFile) -> ov.Model:
    """Inputs `tokens` [N, L] i64 and `mask` [N, L] f32 of ones and zeros; output [N, hidden] f32 of length one."""
    return _BertBuilder(architecture, weights).build()


class _BertBuilder:
    def __init__(self, architecture: BertArchitecture, weights: SafetensorsFile) -> None:
        self._architecture = architecture
        self._weights = weights
        self._prefix = "bert." if any(name.startswith("bert.") for name in weights.names()) else ""

    def build(self) -> ov.Model:
        tokens = opset.parameter(ov.PartialShape([-1, -1]), ov.Type.i64, name="tokens")
        mask = opset.parameter(ov.PartialShape([-1, -1]), ov.Type.f32, name="mask")
        hidden = self._embedded(tokens)
        # Padding is pushed far enough down that its share of every softmax is exactly zero.
        bias = opset.multiply(opset.subtract(mask, np.float32(1)), np.float32(1e9))
        bias = opset.unsqueeze(bias, integers([1, 2]))
        for layer in range(self._architecture.layers):
            hidden = self._layer(hidden, bias, f"encoder.layer.{layer}")
        pooled = self._pooled(hidden, mask)
        return ov.Model([opset.normalize_l2(pooled, integers([1]), 1e-12, "add")], [tokens, mask], "encoder")

    def _embedded(self, tokens: Any) -> Any:
        zero = integers([0])
        words = opset.gather(self._constant("embeddings.word_embeddings.weight"), tokens, zero)
        length = opset.gather(opset.shape_of(tokens), integers([1]), zero)
        rows = self._constant("embeddings.position_embeddings.weight")
        positions = opset.slice(rows, zero, length, integers([1]), zero)
        kind = opset.constant(self._array("embeddings.token_type_embeddings.weight")[:1])
        summed = opset.add(opset.add(words, opset.unsqueeze(positions, zero)), kind)
        return self._norm(summed, "embeddings.LayerNorm")

    def _layer(self, hidden: Any, bias: Any, name: str) -> Any:
        attended = self._linear(
            self._attention(hidden, bias, f"{name}.attention.self"), f"{name}.attention.output.dense"
        )
        hidden = self._norm(opset.add(attended, hidden), f"{name}.attention.output.LayerNorm")
        inner = self._activated(self._linear(hidden, f"{name}.intermediate.dense"))
        return self._norm(opset.add(self._linear(inner, f"{name}.output.dense"), hidden), f"{name}.output.LayerNorm")

    def _attention(self, hidden: Any, bias: Any, name: str) -> Any:
        head_dim = self._architecture.hidden // self._architecture.heads
        query, key, value = (self._heads(self._linear(hidden, f"{name}.{part}")) for part in ("query", "key", "value"))
        query = opset.multiply(query, np.float32(head_dim**-0.5))
        shares = opset.softmax(opset.add(opset.matmul(query, key, False, True), bias), -1)
        mixed = opset.transpose(opset.matmul(shares, value, False, False), integers([0, 2, 1, 3]))
        return opset.reshape(mixed, integers([0, 0, self._architecture.hidden]), True)

    def _heads(self, flat: Any) -> Any:
        heads = self._architecture.heads
        shape = integers([0, 0, heads, self._architecture.hidden // heads])
        return opset.transpose(opset.reshape(flat, shape, True), integers([0, 2, 1, 3]))

    def _activated(self, inner: Any) -> Any:
        if self._architecture.activation == "relu":
            return opset.relu(inner)
        return opset.gelu(inner, "erf" if self._architecture.activation == "gelu" else "tanh")

    def _pooled(self, hidden: Any, mask: Any) -> Any:
        if self._architecture.pooling == "cls":
            return opset.gather(hidden, np.int64(0), integers([1]))
        present = opset.unsqueeze(mask, integers([2]))
        total = opset.reduce_sum(opset.multiply(hidden, present), integers([1]), False)
        return opset.divide(total, opset.reduce_sum(mask, integers([1]), True))

    def _linear(self, rows: Any, name: str) -> Any:
        product = opset.matmul(rows, self._constant(f"{name}.weight"), False, True)
        return opset.add(product, self._constant(f"{name}.bias"))

    def _norm(self, rows: Any, name: str) -> Any:
        centred = opset.mvn(rows, integers([-1]), True, self._architecture.norm_eps, "inside_sqrt")
        scaled = opset.multiply(centred, self._constant(f"{name}.weight"))
        return opset.add(scaled, self._constant(f"{name}.bias"))

    def _constant(self, name: str) -> Any:
        return opset.constant(self._array(name))

    def _array(self, name: str) -> np.ndarray:
        full = self._prefix + name
        return self._weights.rows_f32(full, 0, self._weights.shape(full)[0])
