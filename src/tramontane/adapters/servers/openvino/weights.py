"""Weights as graph nodes: int8 from a prepared folder, or exact float32 from a model's own files.

Knows how a matrix, a vector and a bias become constants the plugin compresses or fuses; knows no layer.
`graph` asks for nodes by name and does not care which of the two it is given.
"""

from typing import Any, Protocol

import numpy as np
import openvino as ov
from openvino import opset13 as opset

from tramontane.adapters.servers.openvino.safetensors_file import SafetensorsFile
from tramontane.adapters.servers.openvino.tensor_source import TensorSource

FUSED_PARTS = {"qkv": ("q", "k", "v")}


class WeightNodes(Protocol):
    """Constants by name. Whoever builds a graph keeps this object alive as long as the graph's constants."""

    def matrix(self, name: str) -> Any:
        """A node giving [out, in] float32. The same name gives the same node."""

    def vector(self, name: str) -> np.ndarray:
        """A norm's weight or a bias, float32."""


def source_names(name: str) -> list[str]:
    """The tensors of a model that make up a tensor of the graph: three for a layer's `qkv`, itself for the rest."""
    head, _, rest = name.rpartition("qkv")
    return [f"{head}{part}{rest}" for part in FUSED_PARTS["qkv"]] if head else [name]


class PreparedNodes:
    """Int8 rows with one float32 scale each, mapped from `weights.safetensors` and never copied here."""

    def __init__(self, file: SafetensorsFile) -> None:
        self._file = file
        self._nodes: dict[str, Any] = {}
        self._shared: list[ov.Tensor] = []

    def matrix(self, name: str) -> Any:
        if name not in self._nodes:
            rows = self._constant(self._file.view(f"{name}.weight"))
            scale = self._constant(self._file.view(f"{name}.scale"))
            self._nodes[name] = opset.multiply(opset.convert(rows, ov.Type.f32), scale)
        return self._nodes[name]

    def vector(self, name: str) -> np.ndarray:
        return self._file.view(name)

    def _constant(self, view: np.ndarray) -> Any:
        tensor = ov.Tensor(view, shared_memory=True)
        self._shared.append(tensor)
        return opset.constant(tensor, shared_memory=True)


class ExactNodes:
    """The model's own weights in float32, the reference the prepared ones are measured against."""

    def __init__(self, source: TensorSource) -> None:
        self._source = source
        self._nodes: dict[str, Any] = {}

    def matrix(self, name: str) -> Any:
        if name not in self._nodes:
            self._nodes[name] = opset.constant(self._read(f"{name}.weight"))
        return self._nodes[name]

    def vector(self, name: str) -> np.ndarray:
        return self._read(name)

    def _read(self, name: str) -> np.ndarray:
        parts = [self._source.rows(part, 0, self._source.shape(part)[0]) for part in source_names(name)]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]
