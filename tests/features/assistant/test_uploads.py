"""Uploads that would fill the memory or hold everything else up are refused before a parser sees them; others come in pieces."""

import io
import struct
import zipfile

import pytest

from tramontane.entrypoints.api.conversations.settings import checked_setting
from tramontane.features.assistant import importing
from tramontane.features.assistant.importing import read_upload
from tramontane.features.assistant.imports import files
from tramontane.features.assistant.imports.files import documents
from tramontane.foundation.errors import BadRequest, TooLarge


def zipped(content: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", content)
    return held.getvalue()


def chatgpt(conversation_id: str, said: str, nodes: int = 1) -> bytes:
    mapping = ",".join(
        f'"n{number}":{{"parent":null,"message":{{"author":{{"role":"user"}},'
        f'"content":{{"content_type":"text","parts":["{said}"]}}}}}}'
        for number in range(nodes)
    )
    return f'{{"id":"{conversation_id}","mapping":{{{mapping}}}}}'.encode()


@pytest.mark.parametrize("piece", [b"[]", b"{}", b"1"])
@pytest.mark.parametrize("wrap", [bytes, zipped])
def test_more_values_than_the_memory_holds_are_refused(
    monkeypatch: pytest.MonkeyPatch, piece: bytes, wrap: type[bytes]
) -> None:
    monkeypatch.setattr(files, "MOST_CONTAINERS", 1000)
    monkeypatch.setattr(files, "MOST_VALUES", 1000)
    with pytest.raises(TooLarge):
        list(documents(wrap(b"[" + b",".join([piece] * 1100) + b"]")))
    assert list(documents(wrap(b"[" + b",".join([piece] * 900) + b"]")))


def test_a_directory_of_a_million_files_is_not_read() -> None:
    """Each record costs 46 bytes in the file and many times that as an object."""
    record = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", *[0] * 11, 1, *[0] * 6) + b"x"
    directory = record * (files.MOST_MEMBERS + 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), 4, 0)
    with pytest.raises(TooLarge, match="files"):
        list(documents(b"PK\x03\x04" + directory + end))


def test_one_conversation_too_large_to_parse_at_once_is_named_and_the_others_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "MOST_CONTAINERS_AT_ONCE", 100)
    upload = b"\xef\xbb\xbf [" + b",".join([chatgpt("a", "one"), chatgpt("b", "x", 60), chatgpt("c", "two")]) + b"]"
    reading = read_upload(upload, checked_setting)
    assert [one.origin for portion in reading.portions for one in portion] == ["chatgpt:a", "chatgpt:c"]
    assert (reading.unread, len(reading.problems)) == (1, 1)


def test_portions_are_small_in_words_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "PORTION_CHARACTERS", 100)
    long = [chatgpt(name, "x" * 60) for name in "abcde"]
    reading = read_upload(b"[" + b",".join(long) + b"]", checked_setting)
    assert [len(portion) for portion in reading.portions] == [2, 2, 1]


def test_an_object_is_read_as_well_as_a_list() -> None:
    reading = read_upload(chatgpt("a", "one"), checked_setting)
    assert [one.origin for portion in reading.portions for one in portion] == ["chatgpt:a"]


@pytest.mark.parametrize("content", [b"[", b'{"a":', b"[" * 100_000, b"[{}", b"nul", b"\xff", b"12", b'{"a":1}{'])
def test_what_is_no_json_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(BadRequest):
        read_upload(content, checked_setting)
