"""The prepared folder: `weights.safetensors` with int8 rows and scales, `engine.json` with everything else.

Knows the layout and its version; knows neither where weights come from nor how they run. `prepare` writes it,
`paged_model` opens it.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tramontane.adapters.servers.openvino.architecture import Architecture
from tramontane.adapters.servers.openvino.errors import ModelFileError
from tramontane.adapters.servers.openvino.tensor_source import TensorSource
from tramontane.adapters.servers.openvino.weights import source_names

FORMAT_VERSION = 1
WEIGHTS_FILE = "weights.safetensors"
MANIFEST_FILE = "engine.json"


@dataclass(frozen=True)
class Recipe:
    """How the plugin is to multiply with the rounded weights."""

    dynamic_group: int = 32  # elements of an activation row that share one scale


@dataclass(frozen=True)
class Distance:
    """Held text under the prepared and the exact weights, in nats a token; None with the reason when not measured."""

    nats: float | None
    prepared_nats: float | None
    exact_nats: float | None
    tokens: int
    reason: str

    @classmethod
    def unmeasured(cls, reason: str) -> "Distance":
        """No figures, and why."""
        return cls(None, None, None, 0, reason)


@dataclass(frozen=True)
class Manifest:
    """What `engine.json` says."""

    architecture: Architecture
    recipe: Recipe
    distance: Distance

    def to_json(self) -> bytes:
        """The file's content; `read_manifest` reads it back."""
        return json.dumps({"format": FORMAT_VERSION, **dataclasses.asdict(self)}, indent=1).encode()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a prepared folder. Raises ModelFileError when it is missing, malformed or of another version."""
    path = folder / MANIFEST_FILE
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
        version = values["format"]
        if version != FORMAT_VERSION:
            raise ModelFileError(f"{path}: format {version}, expected {FORMAT_VERSION}; prepare the model again")
        return Manifest(
            architecture=Architecture.from_json(values["architecture"]),
            recipe=Recipe(dynamic_group=int(values["recipe"]["dynamic_group"])),
            distance=Distance(**values["distance"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path}: not a readable manifest ({error}); prepare the model again") from error


def matrix_names(architecture: Architecture) -> list[str]:
    """The int8 matrices, in file order."""
    per_layer = ("qkv", "o", "gate", "up", "down")
    names = ["embed"] + [f"layers.{layer}.{part}" for layer in range(architecture.layers) for part in per_layer]
    return names if architecture.tied_head else [*names, "head"]


def vector_names(architecture: Architecture) -> list[str]:
    """The float32 vectors, in file order."""
    per_layer = ["attn_norm.weight", "mlp_norm.weight"]
    per_layer += ["q_norm.weight", "k_norm.weight"] if architecture.qk_norm else []
    per_layer += ["qkv.bias"] if architecture.qkv_bias else []
    per_layer += ["o.bias"] if architecture.output_bias else []
    names = [f"layers.{layer}.{part}" for layer in range(architecture.layers) for part in per_layer]
    return ["final_norm.weight", *names]


def file_layout(source: TensorSource) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Types and shapes of `weights.safetensors` for a model, in file order. A matrix is followed by its scale."""
    layout: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
    for name in matrix_names(source.architecture):
        shapes = [source.shape(part) for part in source_names(f"{name}.weight")]
        rows = sum(shape[0] for shape in shapes)
        layout[f"{name}.weight"] = (np.dtype(np.int8), (rows, shapes[0][1]))
        layout[f"{name}.scale"] = (np.dtype(np.float32), (rows, 1))
    for name in vector_names(source.architecture):
        rows = sum(source.shape(part)[0] for part in source_names(name))
        layout[name] = (np.dtype(np.float32), (rows,))
    return layout
