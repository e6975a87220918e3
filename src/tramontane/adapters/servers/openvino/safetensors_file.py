"""The safetensors file format: a mapped reader and a streaming writer.

Knows the header and the element types weights come in; knows no tensor name. Neither side holds the file in memory:
the reader maps it, the writer is told all shapes before it is given the first tensor.
"""

import json
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tramontane.adapters.servers.openvino.errors import ModelFileError

HEADER_LIMIT_BYTES = 100_000_000
_ELEMENT_TYPES: dict[str, np.dtype] = {
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(np.uint16),
    "I8": np.dtype(np.int8),
    "I64": np.dtype(np.int64),
}
_NAMES_BY_TYPE: dict[np.dtype, str] = {np.dtype(np.float32): "F32", np.dtype(np.int8): "I8"}


class SafetensorsFile:
    """One mapped file. Raises ModelFileError when the header or its offsets do not fit the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map = _map(path)
        self._bytes = np.frombuffer(self._map, np.uint8)
        self._data_begin, self._header = _read_header(path, self._bytes)

    def names(self) -> list[str]:
        """The tensors in the file, in header order."""
        return list(self._header)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return tuple(self._entry(name)["shape"])

    def view(self, name: str) -> np.ndarray:
        """A view of the mapped elements, not to be written to; BF16 comes as its uint16 bits."""
        entry = self._entry(name)
        begin, end = entry["data_offsets"]
        raw = self._bytes[self._data_begin + begin : self._data_begin + end]
        return raw.view(_ELEMENT_TYPES[entry["dtype"]]).reshape(entry["shape"])

    def rows_f32(self, name: str, begin: int, end: int) -> np.ndarray:
        """Rows [begin, end) of a tensor as float32."""
        part = self.view(name)[begin:end]
        if self._entry(name)["dtype"] == "BF16":
            return (part.astype(np.uint32) << 16).view(np.float32)
        return part.astype(np.float32)

    def forget_pages(self) -> None:
        """Let go of the resident pages; what is touched again is read again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _entry(self, name: str) -> dict[str, Any]:
        try:
            return self._header[name]
        except KeyError:
            raise ModelFileError(f"{self.path}: tensor {name!r} is missing; fetch the file again") from None


def _map(path: Path) -> mmap.mmap:
    """A private mapping: writable, as sharing it with the plugin demands, though nobody writes."""
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path}: not readable ({error}); fetch the file again") from error


def _read_header(path: Path, mapped: np.ndarray) -> tuple[int, dict]:
    if mapped.size < 8:
        raise ModelFileError(f"{path}: {mapped.size} bytes, expected a header of at least 8; fetch the file again")
    (header_bytes,) = struct.unpack("<Q", mapped[:8].tobytes())
    if header_bytes > min(mapped.size - 8, HEADER_LIMIT_BYTES):
        raise ModelFileError(f"{path}: header says {header_bytes} bytes, file has {mapped.size}; fetch the file again")
    try:
        header = json.loads(mapped[8 : 8 + header_bytes].tobytes())
        header.pop("__metadata__", None)
        for name, entry in header.items():
            _check_entry(path, name, entry, mapped.size - 8 - header_bytes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{path}: malformed header ({error}); fetch the file again") from error
    return 8 + header_bytes, header


def _check_entry(path: Path, name: str, entry: dict, data_bytes: int) -> None:
    if entry["dtype"] not in _ELEMENT_TYPES:
        raise ModelFileError(f"{path}: tensor {name!r} is {entry['dtype']}, expected {', '.join(_ELEMENT_TYPES)}")
    begin, end = entry["data_offsets"]
    expected = int(np.prod(entry["shape"], dtype=np.int64)) * _ELEMENT_TYPES[entry["dtype"]].itemsize
    if not 0 <= begin <= end <= data_bytes or end - begin != expected:
        raise ModelFileError(
            f"{path}: tensor {name!r} spans bytes {begin} to {end} of {data_bytes}, expected {expected}; "
            "fetch the file again"
        )


class SafetensorsWriter:
    """Writes tensors one after another, in the order of the shapes given, each in one or more pieces."""

    _ALIGNMENT_BYTES = 64

    def __init__(self, out: BinaryIO, tensors: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> None:
        header: dict[str, dict] = {}
        offset = 0
        for name, (dtype, shape) in tensors.items():
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            header[name] = {
                "dtype": _NAMES_BY_TYPE[dtype],
                "shape": list(shape),
                "data_offsets": [offset, offset + size],
            }
            offset += size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-(len(text) + 8) % self._ALIGNMENT_BYTES)
        out.write(struct.pack("<Q", len(text)) + text)
        self._out = out
        self._remaining = offset

    def write(self, piece: np.ndarray) -> None:
        """Append the next elements in header order."""
        self._out.write(np.ascontiguousarray(piece).data.cast("B"))
        self._remaining -= piece.nbytes

    def finish(self) -> None:
        """Check that every promised byte was written. Raises ModelFileError otherwise."""
        if self._remaining:
            raise ModelFileError(f"{self._remaining} bytes of weights were promised and not written; prepare again")
