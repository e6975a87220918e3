"""Checks a safetensors file's header: every tensor's place follows from its shape, and every byte is accounted for.

Pure Python and bounded; reads no tensor data. A file with a single byte too many or too few is refused, so nothing can
hide behind the tensors.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tramontane.adapters.formats.byte_reader import ByteReader

MAX_HEADER_BYTES = 100_000_000
MAX_TENSORS = 1_000_000
MAX_RANK = 16
_ELEMENT_BITS: Mapping[str, int] = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """One tensor: its element type as the format names it, its shape, and its bytes relative to the data's beginning."""

    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """What a sound file holds: its tensors by name, its free-form notes, and where the data begins."""

    tensors: Mapping[str, TensorPlace] = field(repr=False)
    metadata: Mapping[str, str]
    data_begin: int
    size_bytes: int

    @property
    def parameters(self) -> int:
        """How many elements the tensors hold."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())


def read_safetensors(path: Path) -> SafetensorsHeader:
    """Check a file on disk. Raises FileRefused."""
    with path.open("rb") as file:
        return check_safetensors(file, path.name, path.stat().st_size)


def check_safetensors(file: BinaryIO, name: str, size_bytes: int) -> SafetensorsHeader:
    """Check an open file of `size_bytes`. Raises FileRefused, and nothing else, whatever the bytes are."""
    reader = ByteReader(file, name, size_bytes, 8 + MAX_HEADER_BYTES)
    start = reader.bytes(min(8, size_bytes), "the header's length")
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= MAX_HEADER_BYTES:
        raise reader.refused(
            f"starts with {start!r}, a safetensors file starts with its header's length, 2 to {MAX_HEADER_BYTES:,}"
        )
    if (first := reader.bytes(1, "the header")) != b"{":
        raise reader.refused(f"starts with {start + first!r}, byte 8 of a safetensors file is '{{'")
    header = _parse(reader, first + reader.bytes(length - 1, "the header"))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise reader.refused("__metadata__ is not a table of texts")
    if len(header) > MAX_TENSORS:
        raise reader.refused(f"says {len(header):,} tensors, at most {MAX_TENSORS:,} are allowed")
    tensors, end = _check_tensors(reader, header)
    found = size_bytes - 8 - length
    if end != found:
        word = "truncated: " if found < end else ""
        raise reader.refused(f"{word}expected {end:,} bytes of tensor data, the file has {found:,}")
    return SafetensorsHeader(tensors, metadata, 8 + length, size_bytes)


def _parse(reader: ByteReader, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            raise ValueError("a name is there twice")
        return values

    try:
        header = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise reader.refused(f"the header is not sound JSON ({error})") from None
    if not isinstance(header, dict):
        raise reader.refused("the header is not a JSON object")
    return header


def _check_tensors(reader: ByteReader, header: dict[str, Any]) -> tuple[dict[str, TensorPlace], int]:
    tensors = {name: _read_entry(reader, name, entry) for name, entry in header.items()}
    reached = 0
    for name, place in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end, item[0])):
        if place.begin != reached:
            raise reader.refused(f"tensor {name[:80]!r} begins at {place.begin:,}, expected {reached:,}")
        reached = place.end
    return tensors, reached


def _read_entry(reader: ByteReader, name: str, entry: Any) -> TensorPlace:
    shown = f"tensor {name[:80]!r}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise reader.refused(f"{shown} is not described by dtype, shape and data_offsets")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _ELEMENT_BITS:
        raise reader.refused(f"{shown} has the unknown element type {str(kind)[:40]!r}")
    if not _is_sizes(shape) or len(shape) > MAX_RANK or not _is_sizes(offsets) or len(offsets) != 2:
        raise reader.refused(f"{shown} has an impossible shape or place")
    bits = _ELEMENT_BITS[kind]
    for size in shape:
        bits *= size
    begin, end = offsets
    if bits % 8 or bits // 8 >= 1 << 63 or end - begin != bits // 8:
        raise reader.refused(f"{shown} spans {end - begin:,} bytes, its shape {tuple(shape)} asks for {bits // 8:,}")
    return TensorPlace(kind, tuple(shape), begin, end)


def _is_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)
