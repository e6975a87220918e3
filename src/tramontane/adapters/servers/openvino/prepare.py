"""Turning a model's files into a prepared folder: int8 rows, their scales, a manifest and the distance to the source.

Knows the rounding, the choice of recipe and the order of the work; knows nothing of requests or of where the files
came from. The catalogue calls it once when a model is added. The folder appears whole or not at all.
"""

import dataclasses
import errno
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tramontane.adapters.servers.openvino.architecture import Architecture
from tramontane.adapters.servers.openvino.distance import cache_bytes_for, exact_nats, held_text, nats_per_token
from tramontane.adapters.servers.openvino.paged_model import PagedModel
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
from tramontane.adapters.servers.openvino.tensor_source import TensorSource
from tramontane.adapters.servers.openvino.tensors import open_source
from tramontane.adapters.servers.openvino.weights import source_names
from tramontane.foundation.errors import StorageFull
from tramontane.foundation.progress import ProgressReport

Tokenize = Callable[[str], Sequence[int]]

DISTANCE_BOUND_NATS = 0.02
DYNAMIC_GROUPS = (64, 32)  # fastest to most exact; 192 is no faster than 64 and doubles the distance
DEFAULT_GROUP = 32
_PIECE_ELEMENTS = 4_000_000


def prepare(path: Path, folder: Path, progress: ProgressReport, tokenize: Tokenize | None = None) -> Manifest:
    """Prepare a `.gguf` file or a Hugging Face folder into `folder`, replacing what is there.

    `progress(stage, done, total)` is called throughout. `tokenize` turns held text into the model's tokens; without
    it the distance is not measured. Raises ModelFileError, UnsupportedArchitecture or StorageFull, and leaves
    nothing half-written.
    """
    source = open_source(path)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write_durably(partial / WEIGHTS_FILE, lambda out: write_weights(source, out, progress))
        manifest = Manifest(source.architecture, Recipe(), Distance.unmeasured("not measured yet"))
        manifest = _with_recipe(source, partial, manifest, progress, tokenize)
        _write_durably(partial / MANIFEST_FILE, lambda out: _write_all(out, manifest.to_json()))
        _put_in_place(partial, folder)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageFull(f"{folder}: no room left on the disk; free some space and add the model again") from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def quantized_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round float32 rows [N, K] to int8 [N, K] and scales [N, 1] with `rows ~ int8 * scale`."""
    scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
    scale[scale == 0] = 1
    return np.rint(rows / scale).astype(np.int8), scale.astype(np.float32)


def write_weights(source: TensorSource, out: BinaryIO, progress: ProgressReport) -> None:
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


def dynamic_groups_of(architecture: Architecture) -> tuple[int, ...]:
    """The activation groups that divide every row the matrices multiply with, fastest first; never empty."""
    widths = (architecture.hidden, architecture.heads * architecture.head_dim, architecture.intermediate)
    common = math.gcd(*widths)
    return tuple(group for group in DYNAMIC_GROUPS if common % group == 0) or (DEFAULT_GROUP,)


def _pieces(source: TensorSource, name: str) -> Iterator[np.ndarray]:
    for part in source_names(name):
        count, width = source.shape(part)
        step = max(1, _PIECE_ELEMENTS // width)
        for begin in range(0, count, step):
            yield source.rows(part, begin, min(begin + step, count))


def _with_recipe(
    source: TensorSource, partial: Path, manifest: Manifest, progress: ProgressReport, tokenize: Tokenize | None
) -> Manifest:
    """The manifest with the fastest activation group within the bound, or the most exact one where none is."""
    groups = dynamic_groups_of(source.architecture)
    unmeasured = dataclasses.replace(manifest, recipe=Recipe(dynamic_group=groups[-1]))
    if tokenize is None:
        return dataclasses.replace(unmeasured, distance=Distance.unmeasured("no tokenizer was given"))
    tokens = list(tokenize(held_text()))[: source.architecture.context_tokens]
    progress("measuring the distance", 0, len(groups) + 1)
    exact, reason = exact_nats(source, tokens)
    if exact is None:
        return dataclasses.replace(unmeasured, distance=Distance.unmeasured(reason))
    for done, group in enumerate(groups, start=1):
        progress("measuring the distance", done, len(groups) + 1)
        chosen = dataclasses.replace(manifest, recipe=Recipe(dynamic_group=group))
        nats = nats_per_token(_load(source, partial, chosen, len(tokens)), tokens)
        chosen = dataclasses.replace(chosen, distance=Distance(nats - exact, nats, exact, len(tokens), ""))
        if nats - exact <= DISTANCE_BOUND_NATS:
            break
    progress("measuring the distance", len(groups) + 1, len(groups) + 1)
    return chosen


def _load(source: TensorSource, partial: Path, manifest: Manifest, tokens: int) -> PagedModel:
    (partial / MANIFEST_FILE).write_bytes(manifest.to_json())
    return PagedModel.load(partial, cache_bytes_for(tokens, source))


def _write_durably(path: Path, write: Callable[[BinaryIO], None]) -> None:
    with path.open("wb") as out:
        write(out)
        out.flush()
        os.fsync(out.fileno())


def _write_all(out: BinaryIO, content: bytes) -> None:
    out.write(content)


def _put_in_place(partial: Path, folder: Path) -> None:
    """Rename the finished folder to its name; an older one is moved aside for that moment, then removed."""
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    directory = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    shutil.rmtree(old, ignore_errors=True)
