"""Turning a model's files into a prepared folder: int8 rows, their scales, a manifest and the distance to the source.

Knows the rounding and the order of the work; knows nothing of requests or of where the files came from. The catalogue
calls it once when a model is added. The folder appears whole or not at all.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tramontane.adapters.servers.openvino.prepared import (
    MANIFEST_FILE,
    WEIGHTS_FILE,
    Distance,
    Manifest,
    Recipe,
    file_layout,
    matrix_names,
    vector_names,
)
from tramontane.adapters.servers.openvino.safetensors_file import SafetensorsWriter
from tramontane.adapters.servers.openvino.tensors import TensorSource, open_source
from tramontane.adapters.servers.openvino.weights import source_names

Progress = Callable[[str, int, int], None]
_PIECE_ELEMENTS = 4_000_000
_READ_BYTES = 1 << 22


def quantized_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round float32 rows [N, K] to int8 [N, K] and scales [N, 1] with `rows ~ int8 * scale`."""
    scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
    scale[scale == 0] = 1
    return np.rint(rows / scale).astype(np.int8), scale.astype(np.float32)


def write_weights(source: TensorSource, out: BinaryIO, progress: Progress) -> None:
    """Stream a model's weights into the prepared form, a few million elements at a time."""
    architecture = source.architecture
    matrices, vectors = matrix_names(architecture), vector_names(architecture)
    writer = SafetensorsWriter(out, file_layout(source))
    for done, name in enumerate(matrices):
        progress("rounding weights", done, len(matrices))
        scales = []
        for piece in _pieces(source, f"{name}.weight"):
            rounded, scale = quantized_rows(piece)
            writer.write(rounded)
            scales.append(scale)
        writer.write(np.concatenate(scales))
    for name in vectors:
        for part in source_names(name):
            writer.write(source.rows(part, 0, source.shape(part)[0]))
    writer.finish()
    progress("rounding weights", len(matrices), len(matrices))


def _pieces(source: TensorSource, name: str) -> Iterator[np.ndarray]:
    for part in source_names(name):
        count, width = source.shape(part)
        step = max(1, _PIECE_ELEMENTS // width)
        for begin in range(0, count, step):
            yield source.rows(part, begin, min(begin + step, count))


def prepare(path: Path, folder: Path, progress: Progress) -> Manifest:
    source = open_source(path)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with (partial / WEIGHTS_FILE).open("wb") as out:
        write_weights(source, out, progress)
    manifest = Manifest(source.architecture, Recipe(dynamic_group=192), Distance(None, None, None, 0, "x"), "")
    manifest.write(partial / MANIFEST_FILE)
    partial.rename(folder)
    return manifest


def sha256_of(files: tuple[Path, ...]) -> str:
    """One digest over the bytes of the files in order, hexadecimal."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while piece := file.read(_READ_BYTES):
                digest.update(piece)
    return digest.hexdigest()
