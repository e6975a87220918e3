"""Reads the key-value header of a GGUF file into plain Python values, tensors left alone.

Knows GGUF versions 2 and 3, little-endian; bounds every count by the file's size, so a hostile header ends in an error
and not in memory. Profile writing calls it because the vocabulary's two hundred thousand strings must not take seconds.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

from tramontane.foundation.errors import Misconfigured

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_NESTING = 4


def read_metadata(path: Path) -> dict[str, Any]:
    """Every key of the header. Raises Misconfigured when the file is no GGUF or is cut short."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _Header(data).read()
        except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
            raise Misconfigured(f"{path.name}: not a readable GGUF header ({error}); fetch the file again") from error


class _Header:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def read(self) -> dict[str, Any]:
        if self._data[:4] != b"GGUF":
            raise ValueError("the first four bytes are not GGUF")
        self._at = 4
        version = self._scalar("I")
        if version not in (2, 3):
            raise ValueError(f"version {version}, expected 2 or 3")
        self._scalar("Q")
        keys = self._count()
        return {self._string(): self._value(self._scalar("I")) for _ in range(keys)}

    def _scalar(self, code: str) -> Any:
        value = struct.unpack_from(f"<{code}", self._data, self._at)[0]
        self._at += struct.calcsize(code)
        return value

    def _count(self) -> int:
        count = int(self._scalar("Q"))
        if count > len(self._data) - self._at:
            raise ValueError(f"a length of {count} at byte {self._at - 8} exceeds the file")
        return count

    def _string(self) -> str:
        size = self._count()
        raw = self._data[self._at : self._at + size]
        self._at += size
        return raw.decode("utf-8", "surrogateescape")

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            if kind not in _SCALARS:
                raise ValueError(f"unknown value type {kind} at byte {self._at}")
            return self._scalar(_SCALARS[kind])
        if depth == _MAX_NESTING:
            raise ValueError("arrays nested too deep")
        inner, count = self._scalar("I"), self._count()
        if inner in _SCALARS:
            code = f"<{count}{_SCALARS[inner]}"
            values = list(struct.unpack_from(code, self._data, self._at))
            self._at += struct.calcsize(code)
            return values
        return [self._value(inner, depth + 1) for _ in range(count)]
