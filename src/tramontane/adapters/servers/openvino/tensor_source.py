"""The one set of names under which every model's weights are read.

Names: `embed`, `final_norm`, `head`, and per layer `layers.N.` with `attn_norm q k v o q_norm k_norm mlp_norm gate up
down`, each with `.weight` and, where the model has them, `.bias`. Matrices are [out, in]; the rows of q and k are in
the order in which the two halves of a head rotate against each other. Knows no file format; the readers and the graph
meet here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tramontane.adapters.servers.openvino.architecture import Architecture


class TensorSource(Protocol):
    """A model's weights, readable tensor by tensor."""

    architecture: Architecture

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor. Raises ModelFileError when the model lacks it."""

    def rows(self, name: str, begin: int, end: int) -> np.ndarray:
        """Rows [begin, end) as float32. Raises ModelFileError when the model lacks the tensor."""


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: rows [first, first + count) of a tensor of the file."""

    name: str
    first: int
    count: int


def layer_and_part(name: str) -> tuple[str, str, str]:
    """Split `layers.3.q.weight` into ("3", "q", "weight") and `embed.weight` into ("", "embed", "weight")."""
    pieces = name.split(".")
    return (pieces[1], pieces[2], pieces[3]) if pieces[0] == "layers" else ("", pieces[0], pieces[1])


def fused_rows(architecture: Architecture, part: str) -> tuple[str, int, int] | None:
    """Fused tensor, first row and row count of a part, for the families that fuse."""
    if architecture.family != "phi3":
        return None
    query, key = architecture.heads * architecture.head_dim, architecture.kv_heads * architecture.head_dim
    inner = architecture.intermediate
    return {
        "q": ("qkv", 0, query),
        "k": ("qkv", query, key),
        "v": ("qkv", query + key, key),
        "gate": ("gate_up", 0, inner),
        "up": ("gate_up", inner, inner),
    }.get(part)


@dataclass(frozen=True)
class FileNames:
    """How one format names its tensors: the prefix of layer 0, the parts, and the tensors several parts share."""

    first_layer: str
    parts: Mapping[str, str]
    fused: Mapping[str, str]

    def place(self, name: str, architecture: Architecture, rows: Callable[[str], int]) -> Place:
        """Where a tensor lies; `rows` tells how many rows a tensor of the file has."""
        layer, part, kind = layer_and_part(name)
        prefix = self.first_layer.replace("0", layer) if layer else ""
        fused = fused_rows(architecture, part)
        if fused:
            return Place(f"{prefix}{self.fused[fused[0]]}.{kind}", fused[1], fused[2])
        full = f"{prefix}{self.parts[part]}.{kind}"
        return Place(full, 0, rows(full))
