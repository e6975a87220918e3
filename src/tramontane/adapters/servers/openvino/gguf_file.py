"""The GGUF file format as tensors: a mapped reader over the checked header.

Knows element types and how to widen them to float32; knows no tensor's name. Rows are widened as they are asked for, so
no whole model is ever in memory.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, dequantize

from tramontane.adapters.formats.gguf_header import TensorInfo, read_gguf
from tramontane.adapters.servers.openvino.errors import ModelFileError, refused_as_damaged

_dequantize: Callable[..., np.ndarray] = dequantize


class GgufFile:
    """One mapped file with its `header`. Raises ModelFileError when the header does not fit the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with refused_as_damaged():
            self.header = read_gguf(path)
            self._bytes = np.memmap(path, np.uint8, "r")
        self._tensors = {tensor.name: tensor for tensor in self.header.tensors}

    def names(self) -> frozenset[str]:
        """The tensors in the file."""
        return frozenset(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, rows first. Raises ModelFileError when the file lacks it."""
        return tuple(reversed(self._tensor(name).dimensions))

    def raw_rows(self, name: str) -> np.ndarray:
        """The file's bytes, uint8 [rows, bytes of a row], not to be written to; a vector's elements are its rows."""
        tensor = self._tensor(name)
        begin = self.header.data_begin + tensor.offset
        return self._bytes[begin : begin + tensor.size_bytes].reshape(self.shape(name)[0], -1)

    def widen(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Some rows of `raw_rows` as float32. Raises ModelFileError for an element type without a reader."""
        kind = GGMLQuantizationType(self._tensor(name).kind)
        try:
            values = _dequantize(np.ascontiguousarray(rows), kind)
        except NotImplementedError as error:
            raise ModelFileError(
                f"{self.path}: no reader for {kind.name}; fetch a Q4, Q5, Q6, Q8, F16 or BF16 file"
            ) from error
        return np.ascontiguousarray(values, dtype=np.float32).reshape(len(rows), *self.shape(name)[1:])

    def _tensor(self, name: str) -> TensorInfo:
        try:
            return self._tensors[name]
        except KeyError:
            raise ModelFileError(f"{self.path}: tensor {name!r} is missing; fetch the file again") from None
