"""The safetensors file format: a mapped reader and a streaming writer.

Knows the element types weights come in, over the checked header; knows no tensor name. Neither side holds the file in
memory: the reader maps it, the writer is told all shapes before it is given the first tensor.
"""

import json
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tramontane.adapters.formats.safetensors_header import TensorPlace, read_safetensors
from tramontane.adapters.servers.openvino.errors import ModelFileError, refused_as_damaged

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
        with refused_as_damaged():
            self._header = read_safetensors(path)
            self._map = _map(path)
        self._bytes = np.frombuffer(self._map, np.uint8)
        for name, place in self._header.tensors.items():
            if place.kind not in _ELEMENT_TYPES:
                raise ModelFileError(f"{path}: tensor {name!r} is {place.kind}, expected {', '.join(_ELEMENT_TYPES)}")

    def names(self) -> list[str]:
        """The tensors in the file, in header order."""
        return list(self._header.tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self._place(name).shape

    def view(self, name: str) -> np.ndarray:
        """A view of the mapped elements, not to be written to; BF16 comes as its uint16 bits."""
        place, data = self._place(name), self._header.data_begin
        raw = self._bytes[data + place.begin : data + place.end]
        return raw.view(_ELEMENT_TYPES[place.kind]).reshape(place.shape)

    def rows_f32(self, name: str, begin: int, end: int) -> np.ndarray:
        """Rows [begin, end) of a tensor as float32."""
        part = self.view(name)[begin:end]
        if self._place(name).kind == "BF16":
            return (part.astype(np.uint32) << 16).view(np.float32)
        return part.astype(np.float32)

    def forget_pages(self) -> None:
        """Let go of the resident pages; what is touched again is read again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _place(self, name: str) -> TensorPlace:
        try:
            return self._header.tensors[name]
        except KeyError:
            raise ModelFileError(f"{self.path}: tensor {name!r} is missing; fetch the file again") from None


def _map(path: Path) -> mmap.mmap:
    """A private mapping: writable, as sharing it with the plugin demands, though nobody writes."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


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
