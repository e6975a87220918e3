"""The decoder graph over OpenVINO's paged attention: tokens of many sequences in, next-token distributions out.

Knows the layers of the supported families and the attention operator's inputs; knows neither files nor memory. The
operator is private to OpenVINO and its inputs are fixed by the version pinned in the project. `paged_model` compiles
what this builds, `prepare` does so with exact weights to measure against.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from openvino import op
from openvino import opset13 as opset

from tramontane.adapters.servers.openvino.architecture import Architecture
from tramontane.adapters.servers.openvino.distribution import candidates, integers, log_sums
from tramontane.adapters.servers.openvino.weights import WeightNodes

BLOCK_TOKENS = 32
OUTPUT_NAMES = ("top_values", "top_indices", "lse", "lse_scaled", "logits")


@dataclass(frozen=True)
class _StepParameters:
    """The inputs every layer of one step shares."""

    tokens: Any
    positions: Any
    past_lens: Any
    begins: Any
    block_indices: Any
    block_begins: Any
    max_context_len: Any
    sampled: Any
    inverse_temperature: Any

    def all(self) -> list[Any]:
        return list(vars(self).values())


@dataclass(frozen=True)
class _Rotation:
    """Cosine and sine of this step's positions, [T, 1, 1, rope_dim]."""

    cosine: Any
    sine: Any


def build_graph(architecture: Architecture, weights: WeightNodes) -> ov.Model:
    """The whole model. Inputs are named as in `StepInput`, with `key_cache.N` and `value_cache.N` per layer;
    outputs as in `StepOutput`. `weights` must outlive the compiled model."""
    builder = _Builder(architecture, weights)
    return builder.build()


def _parameter(name: str, kind: ov.Type, shape: list[int]) -> Any:
    node = opset.parameter(ov.PartialShape(shape), kind, name=name)
    node.output(0).get_tensor().set_names({name})
    return node


def _step_parameters() -> _StepParameters:
    i64, i32 = ov.Type.i64, ov.Type.i32
    return _StepParameters(
        tokens=_parameter("tokens", i64, [-1]),
        positions=_parameter("positions", i64, [-1]),
        past_lens=_parameter("past_lens", i32, [-1]),
        begins=_parameter("begins", i32, [-1]),
        block_indices=_parameter("block_indices", i32, [-1]),
        block_begins=_parameter("block_begins", i32, [-1]),
        max_context_len=_parameter("max_context_len", i32, []),
        sampled=_parameter("sampled", i64, [-1]),
        inverse_temperature=_parameter("inverse_temperature", ov.Type.f32, [-1]),
    )


class _Builder:
    def __init__(self, architecture: Architecture, weights: WeightNodes) -> None:
        self._architecture = architecture
        self._weights = weights
        self._inputs = _step_parameters()
        self._caches: list[Any] = []
        self._axis_zero = integers([0])
        self._attention_tail = _attention_constants(architecture)

    def build(self) -> ov.Model:
        architecture, inputs = self._architecture, self._inputs
        hidden = opset.gather(self._weights.matrix("embed"), inputs.tokens, self._axis_zero)
        rotation = self._rotation()
        for layer in range(architecture.layers):
            hidden = self._layer(hidden, f"layers.{layer}", layer, rotation)
        rows = opset.gather(hidden, inputs.sampled, self._axis_zero)
        normed = self._rms_norm(rows, "final_norm")
        logits = _matmul(normed, self._weights.matrix("embed" if architecture.tied_head else "head"))
        results = [
            _named_result(node, name) for name, node in zip(OUTPUT_NAMES, self._distribution(logits), strict=True)
        ]
        return ov.Model(results, [*inputs.all(), *self._caches], "decoder")

    def _distribution(self, logits: Any) -> tuple[Any, Any, Any, Any, Any]:
        values, ids = candidates(logits, self._architecture.vocab_size)
        largest = opset.slice(values, integers([0]), integers([1]), integers([1]), integers([1]))
        lse, lse_scaled = log_sums(logits, largest, self._inputs.inverse_temperature)
        return values, ids, lse, lse_scaled, logits

    def _rotation(self) -> _Rotation:
        architecture = self._architecture
        frequencies = np.array(architecture.rope_frequencies, np.float32)[None, :]
        positions = opset.unsqueeze(opset.convert(self._inputs.positions, ov.Type.f32), integers([1]))
        half = opset.multiply(positions, opset.constant(frequencies))
        angles = opset.concat([half, half], 1)
        factor = np.float32(architecture.rope_attention_factor)
        shape = integers([-1, 1, 1, architecture.rope_dim])

        def finished(node: Any) -> Any:
            scaled = node if factor == 1.0 else opset.multiply(node, opset.constant(factor))
            return opset.reshape(scaled, shape, False)

        return _Rotation(finished(opset.cos(angles)), finished(opset.sin(angles)))

    def _layer(self, hidden: Any, name: str, layer: int, rotation: _Rotation) -> Any:
        normed = self._rms_norm(hidden, f"{name}.attn_norm")
        attended = self._attention(normed, name, layer, rotation)
        hidden = opset.add(hidden, self._linear(attended, f"{name}.o", self._architecture.output_bias))
        normed = self._rms_norm(hidden, f"{name}.mlp_norm")
        gate = opset.swish(self._linear(normed, f"{name}.gate"))
        inner = opset.multiply(gate, self._linear(normed, f"{name}.up"))
        return opset.add(hidden, self._linear(inner, f"{name}.down"))

    def _attention(self, normed: Any, name: str, layer: int, rotation: _Rotation) -> Any:
        architecture = self._architecture
        query_size = architecture.heads * architecture.head_dim
        key_size = architecture.kv_heads * architecture.head_dim
        fused = self._linear(normed, f"{name}.qkv", architecture.qkv_bias)
        split = opset.variadic_split(fused, np.int64(1), np.array([query_size, key_size, key_size], np.int64))
        query = self._rotated(split.output(0), architecture.heads, f"{name}.q_norm", rotation)
        key = self._rotated(split.output(1), architecture.kv_heads, f"{name}.k_norm", rotation)
        caches = [_parameter(f"{kind}_cache.{layer}", ov.Type.dynamic, [-1, -1, -1, -1]) for kind in ("key", "value")]
        self._caches += caches
        inputs = self._inputs
        sequence = [inputs.past_lens, inputs.begins, inputs.block_indices, inputs.block_begins]
        scale, window, alibi, *tail = self._attention_tail
        arguments = [
            query,
            key,
            split.output(2),
            *caches,
            *sequence,
            scale,
            window,
            alibi,
            inputs.max_context_len,
            *tail,
        ]
        attention = op._PagedAttentionExtension([_output(argument) for argument in arguments])
        info = attention.get_rt_info()
        for kind in ("k", "v"):
            info[f"num_{kind}_heads"] = architecture.kv_heads
            info[f"{kind}_head_size"] = architecture.head_dim
        return attention.output(0)

    def _rotated(self, flat: Any, heads: int, norm: str, rotation: _Rotation) -> Any:
        """[T, heads * head_dim], normed per head where the family does, with the leading rope_dim of a head turned."""
        architecture = self._architecture
        split = opset.reshape(flat, integers([0, 1, heads, architecture.head_dim]), True)
        if architecture.qk_norm:
            split = self._rms_norm(split, norm)
        lanes = opset.transpose(split, integers([0, 2, 1, 3]))
        whole = architecture.rope_dim == architecture.head_dim
        turning = lanes if whole else _last_axis(lanes, 0, architecture.rope_dim)
        half = architecture.rope_dim // 2
        crossed = opset.concat(
            [opset.negative(_last_axis(turning, half, architecture.rope_dim)), _last_axis(turning, 0, half)], -1
        )
        turned = opset.add(opset.multiply(turning, rotation.cosine), opset.multiply(crossed, rotation.sine))
        if not whole:
            turned = opset.concat([turned, _last_axis(lanes, architecture.rope_dim, architecture.head_dim)], -1)
        return opset.reshape(opset.transpose(turned, integers([0, 2, 1, 3])), integers([0, -1]), True)

    def _linear(self, rows: Any, name: str, bias: bool = False) -> Any:
        product = _matmul(rows, self._weights.matrix(name))
        if not bias:
            return product
        return opset.add(product, opset.constant(self._weights.vector(f"{name}.bias")[None, :]))

    def _rms_norm(self, rows: Any, name: str) -> Any:
        squares = opset.power(rows, np.float32(2.0))
        mean = opset.reduce_mean(squares, integers([-1]), True)
        root = opset.sqrt(opset.add(mean, np.float32(self._architecture.norm_eps)))
        normed = opset.multiply(rows, opset.divide(np.float32(1.0), root))
        return opset.multiply(normed, opset.constant(self._weights.vector(f"{name}.weight")))


def _matmul(rows: Any, weight: Any) -> Any:
    return opset.matmul(rows, weight, False, True)


def _last_axis(node: Any, begin: int, end: int) -> Any:
    return opset.slice(node, integers([begin]), integers([end]), integers([1]), integers([3]))


def _output(node: Any) -> ov.Output:
    return node if isinstance(node, ov.Output) else node.output(0)


def _named_result(node: Any, name: str) -> Any:
    result = opset.result(_output(node))
    result.output(0).get_tensor().set_names({name})
    return result


def _attention_constants(architecture: Architecture) -> list[Any]:
    """Inputs 9 to 11 and 13 to 27 of the operator: the scale, the window, and the features left unused."""

    def scalar(value: int) -> Any:
        return opset.constant(np.int32(value))

    def empty(kind: type[np.generic], shape: tuple[int, ...] = (0,)) -> Any:
        return opset.constant(np.zeros(shape, kind))

    scale = opset.constant(np.float32(architecture.head_dim**-0.5))
    leading = [scale, scalar(architecture.sliding_window), empty(np.float32)]
    score_and_rotation = [empty(np.int32), empty(np.int32), empty(np.int32), empty(np.float32), empty(np.float32)]
    sparse_and_sinks = [scalar(0), scalar(0), empty(np.float32, (0, 0, 0, 0)), scalar(0)]
    eviction = [empty(np.int32) for _ in range(4)]
    return [*leading, *score_and_rotation, *sparse_and_sinks, *eviction, empty(np.uint8), empty(np.int32)]
