"""The safetensors check: every byte is accounted for, and no bytes can break it."""

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.tiny_files import safetensors_bytes

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.formats.safetensors_header import SafetensorsHeader, TensorPlace, check_safetensors

SOUND = safetensors_bytes({"a": np.zeros((4, 8)), "b": np.zeros(3)})


def check(content: bytes) -> SafetensorsHeader:
    return check_safetensors(io.BytesIO(content), "model.safetensors", len(content))


def with_header(header: object, data_bytes: int) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data_bytes)


def entry(kind: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def test_a_sound_file_says_what_it_holds() -> None:
    header = check(SOUND)
    assert header.tensors["a"] == TensorPlace("F32", (4, 8), 0, 128)
    assert header.data_begin + header.tensors["b"].end == header.size_bytes
    assert header.parameters == 35
    assert header.metadata == {"format": "pt"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "header's length"),
        (b"PK\x03\x04" + bytes(60), "starts with b'PK"),
        (bytes(60), "header's length"),
        (SOUND[:-1], "truncated: expected 140 bytes of tensor data, the file has 139"),
        (SOUND + b"P", "expected 140 bytes of tensor data, the file has 141"),
        (with_header({"a": entry("F32", [2], 4, 12)}, 12), "begins at 4, expected 0"),
        (with_header({"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)}, 12), "begins at 4"),
        (with_header({"a": entry("F32", [3], 0, 8)}, 8), "asks for 12"),
        (with_header({"a": entry("X9", [2], 0, 8)}, 8), "element type 'X9'"),
        (with_header({"a": entry("F32", [-2], 0, 8)}, 8), "impossible"),
        (with_header({"a": entry("F32", [1 << 62, 1 << 62], 0, 8)}, 8), "asks for"),
        (with_header({"a": 3}, 0), "not described"),
        (with_header({"__metadata__": {"x": 1}}, 0), "table of texts"),
        (with_header(b'{"a": 1, "a": 2}', 0), "twice"),
        (with_header(b"[" * 50_000, 0), "starts with"),
        (with_header(b'{"a":' + b"[" * 50_000, 0), "not sound JSON"),
    ],
)
def test_every_rule_has_a_refusal(content: bytes, problem: str) -> None:
    with pytest.raises(FileRefused) as caught:
        check(content)
    assert problem in caught.value.message


@settings(max_examples=500, deadline=2_000)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.binary(min_size=1, max_size=4)), max_size=4),
    cut=st.none() | st.integers(0, len(SOUND)),
)
def test_no_mutation_escapes_the_check(edits: list[tuple[int, bytes]], cut: int | None) -> None:
    content = bytearray(SOUND)
    for place, new in edits:
        content[place : place + len(new)] = new
    try:
        header = check(bytes(content[:cut]))
    except FileRefused:
        return
    assert header.size_bytes == len(content[:cut])
