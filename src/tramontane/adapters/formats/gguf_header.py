"""Checks a GGUF file's header before any native code sees it, and says what the file holds.

Pure Python, bounded in time and memory, reads no tensor data. Anything out of order raises FileRefused naming the bytes
expected and found. The install verbs call it for every GGUF file that arrives; the engine's tensors and the words'
vocabulary are read through the same header.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from gguf.constants import GGML_QUANT_SIZES

from tramontane.adapters.formats.byte_reader import ByteReader

MAX_KEYS = 65_536
MAX_TENSORS = 65_536
MAX_STRING_BYTES = 1 << 20
MAX_ARRAY_ITEMS = 1 << 24
MAX_NESTING = 2
MAX_NESTED_LISTS = 65_536
MAX_HEADER_BYTES = 1 << 26
MAX_NAME_BYTES = 65_535
MAX_ALIGNMENT_BYTES = 1 << 16
VERSIONS = (2, 3)
_KEPT_ITEMS = 64
_BOOL, _STRING, _ARRAY = 7, 8, 9
_SCALARS: Mapping[int, struct.Struct] = {
    kind: struct.Struct("<" + letter)
    for kind, letter in {
        0: "B",
        1: "b",
        2: "H",
        3: "h",
        4: "I",
        5: "i",
        6: "f",
        7: "B",
        10: "Q",
        11: "q",
        12: "d",
    }.items()
}
_QUANT_SIZES: Mapping[int, tuple[int, int]] = {int(kind): sizes for kind, sizes in GGML_QUANT_SIZES.items()}
Value = int | float | bool | str | tuple["Value", ...] | None


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: its dimensions (fastest first), element type number, and place relative to the data's beginning."""

    name: str
    dimensions: tuple[int, ...]
    kind: int
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a sound file says of itself. `values` keeps scalars and lists; `lengths` counts the lists' items.

    A long list is None in `values` unless whole lists were asked for.
    """

    version: int
    architecture: str
    values: Mapping[str, Value]
    lengths: Mapping[str, int]
    tensors: tuple[TensorInfo, ...] = field(repr=False)
    data_begin: int
    size_bytes: int

    @property
    def chat_template(self) -> str:
        """The Jinja template the file carries, or ""."""
        value = self.values.get("tokenizer.chat_template")
        return value if isinstance(value, str) else ""

    @property
    def parameters(self) -> int:
        """How many weights the tensors hold."""
        return sum(math.prod(tensor.dimensions) for tensor in self.tensors)

    def number(self, key: str) -> int:
        """An integer field of the architecture, such as `context_length`; 0 when absent or of another type."""
        value = self.values.get(f"{self.architecture}.{key}")
        return value if isinstance(value, int) and not isinstance(value, bool) else 0


def read_gguf(path: Path, *, whole_lists: bool = False) -> GgufHeader:
    """Check a file on disk; `whole_lists` keeps long lists too, such as the vocabulary. Raises FileRefused."""
    with path.open("rb") as file:
        return check_gguf(file, path.name, path.stat().st_size, whole_lists=whole_lists)


def check_gguf(file: BinaryIO, name: str, size_bytes: int, *, whole_lists: bool = False) -> GgufHeader:
    """Check an open file of `size_bytes`. Raises FileRefused, and nothing else, whatever the bytes are."""
    reader = ByteReader(file, name, size_bytes, MAX_HEADER_BYTES)
    version = _read_start(reader, size_bytes)
    tensor_count = reader.u64("the tensor count")
    key_count = reader.u64("the key count")
    if tensor_count > MAX_TENSORS or key_count > MAX_KEYS:
        raise reader.refused(
            f"says {tensor_count:,} tensors and {key_count:,} keys, at most {MAX_TENSORS:,} and {MAX_KEYS:,} are allowed"
        )
    values, lengths = _read_keys(reader, key_count, MAX_ARRAY_ITEMS if whole_lists else _KEPT_ITEMS)
    alignment = _alignment(reader, values)
    tensors = _read_tensors(reader, tensor_count, alignment)
    data_begin = -(-reader.position // alignment) * alignment
    _check_places(reader, tensors, size_bytes - data_begin, alignment)
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise reader.refused("lacks the text field general.architecture")
    return GgufHeader(version, architecture, values, lengths, tensors, data_begin, size_bytes)


def _read_start(reader: ByteReader, size_bytes: int) -> int:
    start = reader.bytes(min(4, size_bytes), "the magic")
    if start != b"GGUF":
        raise reader.refused(f"starts with {_shown(start)}, a GGUF starts with 'GGUF'")
    version = reader.u32("the version")
    if version not in VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        hint = " (a big-endian file)" if swapped in VERSIONS else ""
        raise reader.refused(f"GGUF version {version}{hint}, supported are {' and '.join(map(str, VERSIONS))}")
    return version


def _read_keys(reader: ByteReader, count: int, kept_items: int) -> tuple[dict[str, Value], dict[str, int]]:
    values: dict[str, Value] = {}
    lengths: dict[str, int] = {}
    for index in range(count):
        key = _text(reader, f"key {index}", MAX_NAME_BYTES)
        if key in values:
            raise reader.refused(f"has the key {key[:80]!r} twice")
        kind = reader.u32(f"the type of {key[:80]}")
        values[key], length = _read_value(reader, kind, key[:80], kept_items)
        if length is not None:
            lengths[key] = length
    return values, lengths


def _read_value(reader: ByteReader, kind: int, key: str, kept_items: int, nesting: int = 0) -> tuple[Value, int | None]:
    if kind == _STRING:
        return _text(reader, key, MAX_STRING_BYTES), None
    if kind == _ARRAY:
        return _read_array(reader, key, kept_items, nesting + 1)
    if kind not in _SCALARS:
        raise reader.refused(f"field {key!r} has the unknown type {kind}")
    value = reader.number(_SCALARS[kind], key)
    if kind == _BOOL and value not in (0, 1):
        raise reader.refused(f"field {key!r} is a truth value of {value}")
    return bool(value) if kind == _BOOL else value, None


def _read_array(reader: ByteReader, key: str, kept_items: int, nesting: int) -> tuple[Value, int]:
    if nesting > MAX_NESTING:
        raise reader.refused(f"field {key!r} nests lists more than {MAX_NESTING} deep")
    if nesting > 1:
        reader.tally(MAX_NESTED_LISTS, "lists in lists")
    kind = reader.u32(f"the item type of {key}")
    count = reader.u64(f"the length of {key}")
    if count > MAX_ARRAY_ITEMS:
        raise reader.refused(f"field {key!r} has {count:,} items, at most {MAX_ARRAY_ITEMS:,} are allowed")
    kept = count <= kept_items
    if kind in _SCALARS:
        layout = _SCALARS[kind]
        if kept:
            return reader.numbers(layout, count, key), count
        reader.skip(count * layout.size, f"the items of {key}")
        return None, count
    if kind == _STRING:
        return _read_texts(reader, key, count, kept), count
    items = [_read_value(reader, kind, key, kept_items, nesting)[0] for _ in range(count)]
    return (tuple(items) if kept else None), count


def _read_texts(reader: ByteReader, key: str, count: int, kept: bool) -> Value:
    texts: list[bytes] | None = [] if kept else None
    reader.texts(count, MAX_STRING_BYTES, key, texts)
    return None if texts is None else tuple(_decoded(reader, text, f"an item of {key}") for text in texts)


def _text(reader: ByteReader, what: str, limit_bytes: int) -> str:
    length = reader.u64(f"the length of {what}")
    if length > limit_bytes:
        raise reader.refused(f"{what} is a text of {length:,} bytes, at most {limit_bytes:,} are allowed")
    return _decoded(reader, reader.bytes(length, what), what)


def _decoded(reader: ByteReader, data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise reader.refused(f"{what} is not UTF-8 text: {_shown(data[:16])}") from None


def _alignment(reader: ByteReader, values: Mapping[str, Value]) -> int:
    value = values.get("general.alignment", 32)
    sound = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_ALIGNMENT_BYTES
    if not isinstance(value, int) or not sound or value & (value - 1):
        raise reader.refused(f"general.alignment is {value!r}, a power of two up to {MAX_ALIGNMENT_BYTES} is expected")
    return value


def _read_tensors(reader: ByteReader, count: int, alignment: int) -> tuple[TensorInfo, ...]:
    tensors: dict[str, TensorInfo] = {}
    for index in range(count):
        name = _text(reader, f"the name of tensor {index}", MAX_NAME_BYTES)
        if name in tensors:
            raise reader.refused(f"has the tensor {name[:80]!r} twice")
        shown = f"tensor {name[:80]!r}"
        rank = reader.u32(f"the rank of {shown}")
        if not 1 <= rank <= 4:
            raise reader.refused(f"{shown} has {rank} dimensions, 1 to 4 are allowed")
        dimensions = tuple(reader.u64(f"the dimensions of {shown}") for _ in range(rank))
        kind = reader.u32(f"the type of {shown}")
        offset = reader.u64(f"the offset of {shown}")
        if offset % alignment:
            raise reader.refused(f"{shown} lies at {offset:,}, not a multiple of the alignment {alignment}")
        tensors[name] = TensorInfo(name, dimensions, kind, offset, _tensor_bytes(reader, shown, dimensions, kind))
    return tuple(tensors.values())


def _tensor_bytes(reader: ByteReader, shown: str, dimensions: tuple[int, ...], kind: int) -> int:
    """Python's integers do not overflow, so products are exact; anything past 63 bits is refused all the same."""
    if kind not in _QUANT_SIZES:
        raise reader.refused(f"{shown} has the unknown element type {kind}")
    block, block_bytes = _QUANT_SIZES[kind]
    elements = math.prod(dimensions)
    if 0 in dimensions or elements >= 1 << 63:
        raise reader.refused(f"{shown} has the impossible dimensions {dimensions}")
    if dimensions[0] % block:
        raise reader.refused(f"{shown} has rows of {dimensions[0]:,} elements, not a multiple of its block of {block}")
    return elements // block * block_bytes


def _check_places(reader: ByteReader, tensors: tuple[TensorInfo, ...], data_bytes: int, alignment: int) -> None:
    ordered = sorted(tensors, key=lambda tensor: tensor.offset)
    end = 0
    for tensor in ordered:
        if tensor.offset < end:
            raise reader.refused(f"tensor {tensor.name[:80]!r} at {tensor.offset:,} overlaps the one before it")
        end = tensor.offset + tensor.size_bytes
    found = max(0, data_bytes)
    if end > found:
        raise reader.refused(f"truncated: expected {end:,} bytes of tensor data, the file has {found:,}")
    if found - end > alignment:
        raise reader.refused(
            f"has {found - end:,} bytes after its last tensor, at most {alignment} of padding are expected"
        )


def _shown(data: bytes) -> str:
    return repr(data)[1:] if data else "nothing"
