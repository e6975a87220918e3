"""The GGUF check: what a sound file says, what each kind of damage is called, and that no bytes can break it."""

import io
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.tiny_files import TEMPLATE, write_gguf

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.formats.gguf_header import MAX_HEADER_BYTES, MAX_KEYS, check_gguf, read_gguf

U32, STRING, ARRAY = 4, 8, 9


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name.encode()) + struct.pack("<I", kind) + value


ARCHITECTURE = key("general.architecture", STRING, text(b"llama"))


def tensor(name: str, dimensions: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    return text(name.encode()) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, offset)


def file_of(
    keys: list[bytes], tensors: list[bytes], data: bytes = b"", *, counts: tuple[int, int] | None = None
) -> bytes:
    tensor_count, key_count = counts or (len(tensors), len(keys))
    head = b"GGUF" + struct.pack("<IQQ", 3, tensor_count, key_count) + b"".join(keys) + b"".join(tensors)
    return head + b"\0" * (-len(head) % 32) + data


def refusal(content: bytes) -> str:
    with pytest.raises(FileRefused) as caught:
        check_gguf(io.BytesIO(content), "model.gguf", len(content))
    assert caught.value.message.startswith("model.gguf: ")
    return caught.value.message


def test_a_sound_file_says_what_it_holds(tmp_path: Path) -> None:
    header = read_gguf(write_gguf(tmp_path / "model.gguf", rows=4))
    assert header.architecture == "llama"
    assert header.number("context_length") == 512
    assert header.chat_template == TEMPLATE
    assert header.lengths["tokenizer.ggml.tokens"] == 100
    assert header.values["tokenizer.ggml.tokens"] is None
    assert header.parameters == 5 * 64
    assert {info.name: info.dimensions for info in header.tensors}["token_embd.weight"] == (64, 4)


def test_a_truncated_file_names_the_bytes_expected(tmp_path: Path) -> None:
    content = write_gguf(tmp_path / "model.gguf").read_bytes()
    assert "truncated: expected 1,280 bytes of tensor data, the file has 1,279" in refusal(content[:-1])


def test_a_cut_header_names_where_it_ends(tmp_path: Path) -> None:
    content = write_gguf(tmp_path / "model.gguf").read_bytes()
    assert "the file has 100" in refusal(content[:100])


def test_a_foreign_file_is_named() -> None:
    assert "starts with 'PK\\x03\\x04', a GGUF starts with 'GGUF'" in refusal(b"PK\x03\x04" + bytes(100))
    assert "starts with nothing" in refusal(b"")
    assert "big-endian" in refusal(b"GGUF" + struct.pack(">I", 3) + bytes(100))
    assert "version 1" in refusal(b"GGUF" + struct.pack("<I", 1) + bytes(100))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (file_of([ARCHITECTURE], [], counts=(0, MAX_KEYS + 1)), "at most 65,536"),
        (file_of([ARCHITECTURE], [], counts=(65_537, 1)), "65,537 tensors"),
        (file_of([ARCHITECTURE, ARCHITECTURE], []), "twice"),
        (file_of([key("a", U32, struct.pack("<I", 1))], []), "general.architecture"),
        (file_of([ARCHITECTURE, key("a", 99, b"")], []), "unknown type 99"),
        (file_of([ARCHITECTURE, key("a", 7, b"\2")], []), "truth value"),
        (file_of([ARCHITECTURE, key("a", STRING, struct.pack("<Q", (1 << 20) + 1))], []), "1,048,577 bytes"),
        (file_of([ARCHITECTURE, key("a", STRING, text(b"\xff"))], []), "not UTF-8"),
        (file_of([ARCHITECTURE, key("a", ARRAY, struct.pack("<IQ", U32, (1 << 24) + 1))], []), "16,777,217 items"),
        (
            file_of([ARCHITECTURE, key("a", ARRAY, struct.pack("<IQIQIQ", ARRAY, 1, ARRAY, 1, U32, 0))], []),
            "nests lists",
        ),
        (file_of([ARCHITECTURE, key("general.alignment", U32, struct.pack("<I", 3))], []), "power of two"),
        (file_of([ARCHITECTURE, key("general.alignment", U32, struct.pack("<I", 0))], []), "power of two"),
        (file_of([ARCHITECTURE], [tensor("t", (4,)), tensor("t", (4,))], bytes(32)), "twice"),
        (file_of([ARCHITECTURE], [tensor("t", ())], bytes(32)), "0 dimensions"),
        (file_of([ARCHITECTURE], [tensor("t", (1, 1, 1, 1, 1))], bytes(32)), "5 dimensions"),
        (file_of([ARCHITECTURE], [tensor("t", (0,))], bytes(32)), "impossible dimensions"),
        (file_of([ARCHITECTURE], [tensor("t", (1 << 32, 1 << 32))], bytes(32)), "impossible dimensions"),
        (file_of([ARCHITECTURE], [tensor("t", (4,), kind=77)], bytes(32)), "element type 77"),
        (file_of([ARCHITECTURE], [tensor("t", (31,), kind=2)], bytes(32)), "block of 32"),
        (file_of([ARCHITECTURE], [tensor("t", (4,), offset=8)], bytes(64)), "alignment 32"),
        (file_of([ARCHITECTURE], [tensor("a", (16,)), tensor("b", (4,), offset=32)], bytes(96)), "overlaps"),
        (file_of([ARCHITECTURE], [tensor("t", (4,), offset=1 << 62)], bytes(32)), "truncated"),
        (file_of([ARCHITECTURE], [tensor("t", (8,))], bytes(32) + b"PK" * 100), "after its last tensor"),
    ],
)
def test_every_rule_has_a_refusal(content: bytes, problem: str) -> None:
    assert problem in refusal(content)


class _Endless(io.RawIOBase):
    """A header of nothing but empty keys' beginnings, as large as anyone likes, without holding it."""

    def __init__(self) -> None:
        self.place = 0
        self.given = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        start = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + ARCHITECTURE[:-13] + struct.pack("<I", ARRAY)
        start += struct.pack("<IQ", STRING, 1 << 24)
        self.given += size
        return (start[self.place : self.place + size] + bytes(size))[:size]


def test_an_endless_header_stops_at_the_limit() -> None:
    source = _Endless()
    with pytest.raises(FileRefused):
        check_gguf(source, "endless.gguf", 1 << 40)  # type: ignore[arg-type]
    assert source.given <= 2 * MAX_HEADER_BYTES


SOUND = file_of(
    [
        ARCHITECTURE,
        key("llama.context_length", U32, struct.pack("<I", 512)),
        key("tokens", ARRAY, struct.pack("<IQ", STRING, 3) + text(b"a") + text(b"b") + text(b"c")),
        key("nested", ARRAY, struct.pack("<IQIQI", ARRAY, 1, U32, 1, 7)),
    ],
    [tensor("a", (8, 4)), tensor("b", (32, 2), kind=8, offset=128)],
    bytes(128 + 68 + 28),
)


def test_the_fuzzed_file_is_sound() -> None:
    assert check_gguf(io.BytesIO(SOUND), "model.gguf", len(SOUND)).number("context_length") == 512


@settings(max_examples=1_000, deadline=2_000)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.binary(min_size=1, max_size=8)), max_size=6),
    cut=st.none() | st.integers(0, len(SOUND)),
    tail=st.binary(max_size=64),
)
def test_no_mutation_escapes_the_check(edits: list[tuple[int, bytes]], cut: int | None, tail: bytes) -> None:
    content = bytearray(SOUND)
    for place, new in edits:
        content[place : place + len(new)] = new
    mutated = bytes(content[:cut]) + tail
    try:
        header = check_gguf(io.BytesIO(mutated), "model.gguf", len(mutated))
    except FileRefused as error:
        assert error.message.startswith("model.gguf: ")
        return
    end = max((info.offset + info.size_bytes for info in header.tensors), default=0)
    assert header.data_begin + end <= len(mutated) + 32


def test_ten_thousand_mutations_of_a_written_file(tmp_path: Path) -> None:
    """Cheap and many, on a file of the format's own writer; every survivor lies within the file."""
    content = write_gguf(tmp_path / "model.gguf").read_bytes()
    header_bytes = read_gguf(tmp_path / "model.gguf").data_begin
    choose = random.Random(20260)
    refused = 0
    for _ in range(10_000):
        mutated = bytearray(content)
        for _ in range(choose.randint(1, 4)):
            mutated[choose.randrange(header_bytes)] = choose.choice((0, 1, 0x7F, 0x80, 0xFF, choose.randrange(256)))
        try:
            header = check_gguf(io.BytesIO(mutated), "model.gguf", len(mutated))
        except FileRefused:
            refused += 1
            continue
        assert all(header.data_begin + info.offset + info.size_bytes <= len(mutated) for info in header.tensors)
    assert refused > 1_000


def test_lists_in_lists_are_counted_over_the_whole_file() -> None:
    empty = struct.pack("<IQ", U32, 0)
    half = struct.pack("<IQ", ARRAY, 40_000) + empty * 40_000
    keys = [ARCHITECTURE, key("a", ARRAY, half)]
    content = file_of(keys, [])
    assert check_gguf(io.BytesIO(content), "model.gguf", len(content)).lengths["a"] == 40_000
    assert "more than 65,536 lists in lists" in refusal(file_of([*keys, key("b", ARRAY, half)], []))


def test_a_text_too_long_is_refused_among_many(tmp_path: Path) -> None:
    items = b"".join(text(b"x" * 3) for _ in range(200)) + struct.pack("<Q", (1 << 20) + 1)
    assert "1,048,577 bytes" in refusal(
        file_of([ARCHITECTURE, key("a", ARRAY, struct.pack("<IQ", STRING, 300) + items)], [])
    )


@given(st.lists(st.binary(max_size=2_000), min_size=65, max_size=400))
@settings(max_examples=50, deadline=2_000)
def test_many_texts_are_passed_over_exactly(texts: list[bytes]) -> None:
    packed = key("a", ARRAY, struct.pack("<IQ", STRING, len(texts)) + b"".join(map(text, texts)))
    last = key("llama.context_length", U32, struct.pack("<I", 77))
    content = file_of([ARCHITECTURE, packed, last], [])
    header = check_gguf(io.BytesIO(content), "model.gguf", len(content))
    assert header.number("context_length") == 77
    assert header.lengths["a"] == len(texts)


@settings(max_examples=500, deadline=2_000)
@given(st.binary(max_size=400))
def test_no_random_bytes_escape_the_check(content: bytes) -> None:
    with pytest.raises(FileRefused):
        check_gguf(io.BytesIO(b"GGUF" + content), "model.gguf", len(content) + 4)


@given(st.lists(st.text(max_size=300), min_size=65, max_size=300), st.lists(st.integers(0, 2**32 - 1), max_size=200))
@settings(max_examples=50, deadline=2_000)
def test_whole_lists_are_what_was_written(texts: list[str], numbers: list[int]) -> None:
    packed = b"".join(text(item.encode()) for item in texts)
    keys = [
        ARCHITECTURE,
        key("words", ARRAY, struct.pack("<IQ", STRING, len(texts)) + packed),
        key("numbers", ARRAY, struct.pack(f"<IQ{len(numbers)}I", U32, len(numbers), *numbers)),
        key("last", STRING, text(b"end")),
    ]
    content = file_of(keys, [])
    header = check_gguf(io.BytesIO(content), "model.gguf", len(content), whole_lists=True)
    assert header.values["words"] == tuple(texts)
    assert header.values["numbers"] == tuple(numbers)
    assert header.values["last"] == "end"


def test_a_vocabulary_larger_than_the_reading_window_is_whole() -> None:
    texts = [f"{number}" * 40 for number in range(20_000)]
    packed = b"".join(text(item.encode()) for item in texts)
    content = file_of([ARCHITECTURE, key("a", ARRAY, struct.pack("<IQ", STRING, len(texts)) + packed)], [])
    header = check_gguf(io.BytesIO(content), "model.gguf", len(content), whole_lists=True)
    assert header.values["a"] == tuple(texts)


def test_an_item_that_is_no_text_is_refused_where_it_is_kept() -> None:
    packed = b"".join(text(b"\xff") for _ in range(100))
    content = file_of([ARCHITECTURE, key("a", ARRAY, struct.pack("<IQ", STRING, 100) + packed)], [])
    with pytest.raises(FileRefused, match="not UTF-8"):
        check_gguf(io.BytesIO(content), "model.gguf", len(content), whole_lists=True)
