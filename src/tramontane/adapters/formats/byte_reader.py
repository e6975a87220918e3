"""Reads numbers and text from a file's beginning, never past its end and never more than it was allowed to.

Knows little-endian layout and says which bytes were expected when they are missing; knows no file format.
"""

import struct
from typing import BinaryIO

from tramontane.adapters.formats.errors import FileRefused

_WINDOW_BYTES = 1 << 18
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
Texts = list[bytes]
"""Texts as they stand in a file, not decoded."""


class ByteReader:
    """A forward reader over one open file of `size_bytes`, with a budget of `limit_bytes` it may pass in all."""

    def __init__(self, file: BinaryIO, name: str, size_bytes: int, limit_bytes: int) -> None:
        self._file = file
        self._name = name
        self._size = size_bytes
        self._end = min(size_bytes, limit_bytes)
        self._limit = limit_bytes
        self._window = b""
        self._window_begin = 0
        self._tally = 0
        self.position = 0

    def tally(self, limit: int, what: str) -> None:
        """One more of what a file may hold only so many of. Raises FileRefused beyond `limit`."""
        self._tally += 1
        if self._tally > limit:
            raise self.refused(f"has more than {limit:,} {what}")

    def bytes(self, count: int, what: str) -> bytes:
        """The next `count` bytes. Raises FileRefused when the file or the budget ends before."""
        self._require(count, what)
        begin = self.position - self._window_begin
        if begin < 0 or begin + count > len(self._window):
            self._file.seek(self.position)
            self._window = self._file.read(max(count, min(_WINDOW_BYTES, self._end - self.position)))
            self._window_begin = self.position
            begin = 0
            if len(self._window) < count:
                raise self.refused(f"could not be read at byte {self.position:,} for {what}")
        self.position += count
        return self._window[begin : begin + count]

    def skip(self, count: int, what: str) -> None:
        """Pass over `count` bytes unread."""
        self._require(count, what)
        self.position += count

    def texts(self, count: int, limit_bytes: int, what: str, kept: Texts | None = None) -> None:
        """Pass over `count` texts, each after its length in 8 bytes, and put them into `kept` where it is given.

        Vocabularies have hundreds of thousands.
        """
        while count:
            length = self.u64(f"the length of a text of {what}")
            self._check_text(length, limit_bytes, what)
            if kept is None:
                self.skip(length, what)
            else:
                kept.append(self.bytes(length, what))
            count = self._texts_in_window(count - 1, limit_bytes, what, kept)

    def _texts_in_window(self, count: int, limit_bytes: int, what: str, kept: Texts | None) -> int:
        """As far as the bytes at hand reach; how many texts remain."""
        window, end = self._window, len(self._window)
        place = self.position - self._window_begin
        while count and place + 8 <= end:
            length = _U64.unpack_from(window, place)[0]
            self._check_text(length, limit_bytes, what)
            if place + 8 + length > end:
                break
            if kept is not None:
                kept.append(window[place + 8 : place + 8 + length])
            place += 8 + length
            count -= 1
        self.position = max(self.position, self._window_begin + place)
        return count

    def _check_text(self, length: int, limit_bytes: int, what: str) -> None:
        if length > limit_bytes:
            raise self.refused(f"{what} is a text of {length:,} bytes, at most {limit_bytes:,} are allowed")

    def u32(self, what: str) -> int:
        """An unsigned number of 4 bytes."""
        return int(_U32.unpack(self.bytes(4, what))[0])

    def u64(self, what: str) -> int:
        """An unsigned number of 8 bytes."""
        return int(_U64.unpack(self.bytes(8, what))[0])

    def number(self, layout: struct.Struct, what: str) -> int | float | bool:
        """One value of the given layout."""
        value: int | float | bool = layout.unpack(self.bytes(layout.size, what))[0]
        return value

    def numbers(self, layout: struct.Struct, count: int, what: str) -> tuple[int | float, ...]:
        """`count` values of a layout of one number."""
        return struct.unpack(f"<{count}{layout.format[-1]}", self.bytes(count * layout.size, what))

    def refused(self, problem: str) -> FileRefused:
        """The error for this file, ready to raise."""
        return FileRefused(f"{self._name}: {problem}; fetch the file again or choose another")

    def _require(self, count: int, what: str) -> None:
        if self.position + count <= self._end:
            return
        if self._end < self._size:
            raise self.refused(f"the header goes on past {self._limit:,} bytes, the limit, at {what}")
        raise self.refused(
            f"truncated: expected {count:,} bytes of {what} at byte {self.position:,}, the file has {self._size:,}"
        )
