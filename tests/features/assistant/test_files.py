"""Text files in `data:` addresses: every way to write one is read, and what is broken is said to be, by field and cure."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.features.assistant.rooms import data_url

from tramontane.features.assistant.files import (
    CHARSETS,
    MOST_ESCAPES,
    MOST_FILE_BYTES,
    UNREADABLE,
    kept_file,
    taken_file,
)
from tramontane.foundation.errors import BadRequest, InvalidFields, TooLarge

TEXTS = st.text(max_size=500).filter(lambda text: "\x00" not in text)


def read_file(url: str, name: str, field: str) -> str:
    """What is read of it at every turn, once it was taken."""
    return kept_file(taken_file(url, name, field))


@given(TEXTS)
def test_a_file_is_read_as_it_was_written(text: str) -> None:
    assert read_file(data_url(text.encode()), "notes.txt", "inputs") == text
    assert read_file(f"data:,{quote(text)}", "notes.txt", "inputs") == text


@given(TEXTS, st.sampled_from(sorted(CHARSETS)))
def test_a_file_is_read_in_the_charset_it_names(text: str, charset: str) -> None:
    content = text.encode(CHARSETS[charset], "ignore")
    written = content.decode(CHARSETS[charset])
    kind = f"text/plain;charset={charset.upper()}"
    assert read_file(data_url(content, kind), "notes.txt", "inputs") == written
    assert read_file(f"data:{kind},{quote(content)}", "notes.txt", "inputs") == written


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("data:,plain", "plain"),
        ("data:text/plain,plain", "plain"),
        ("data:text/csv;charset=utf-8,a;b", "a;b"),
        ("data:text/plain,a%20b%0Ac%25+d", "a b\nc%+d"),
        ("data:text/plain,%C3%A9t%c3%a9 \u00e9", "\u00e9t\u00e9 \u00e9"),
        ("data:text/plain;charset=iso-8859-1,%E9t%E9", "\u00e9t\u00e9"),
        ('data:text/plain;name=a;charset="windows-1252",%80', "\u20ac"),
        ("data:text/markdown;charset=utf-8;base64,IyBI", "# H"),
        ("data:text/plain;base64,YQ%3D%3D", "a"),
        ("DATA:Text/Plain;BASE64,YQ==", "a"),
        (data_url(b"{}", "application/json"), "{}"),
        (data_url("été".encode(), "application/octet-stream"), "été"),
    ],
)
def test_addresses_that_carry_text(url: str, text: str) -> None:
    assert read_file(url, "notes.txt", "inputs") == text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://example.org/a.txt", "nothing is fetched"),
        ("http://127.0.0.1/", "nothing is fetched"),
        ("file:///etc/passwd", "nothing is fetched"),
        ("", "nothing is fetched"),
        (" data:,x", "nothing is fetched"),
        ("data:text/plain", "data:text/plain;base64,DATA"),
        ("data:text plain,x", "data:text/plain;base64,DATA"),
        ("data:text/plain;charset,x", "data:text/plain;base64,DATA"),
        ("data:text/plain;base64,!!!!", "base64"),
        ("data:text/plain;base64,AAA", "base64"),
        ("data:,50% off", "write %25"),
        ("data:,%E", "write %25"),
        ("data:,%zz", "write %25"),
        ("data:text/plain;charset=klingon,x", "klingon"),
        ("data:text/plain;charset=,x", "UTF-8"),
        ("data:," + "%41" * (MOST_ESCAPES + 1), "send it as base64"),
        ("data:text/plain" + ";a=b" * 1_000_000 + ",x", "data:text/plain;base64,DATA"),
    ],
)
def test_nothing_is_fetched_and_nothing_guessed(url: str, said: str) -> None:
    with pytest.raises(InvalidFields, match=said) as refused:
        read_file(url, "notes.txt", "inputs.0")
    assert refused.value.param == "inputs.0"


@pytest.mark.parametrize(
    "url",
    [
        data_url(b"%PDF-1.7", "application/pdf"),
        data_url(b"text after all", "image/png"),
        data_url(b"\xff\xfe\x00"),
        data_url(b"a\x00b"),
        "data:,a%00b",
        "data:,%ff",
        "data:text/plain;charset=us-ascii,%C3%A9",
    ],
)
def test_what_is_no_text_is_said_to_be_none(url: str) -> None:
    with pytest.raises(BadRequest, match=r"notes\.bin is not text") as refused:
        read_file(url, "notes.bin", "inputs")
    assert refused.value.code == "unsupported_media_type"


def test_a_file_of_the_limit_is_read_and_one_beyond_it_is_not() -> None:
    assert len(read_file(data_url(b"x" * MOST_FILE_BYTES), "notes.txt", "inputs")) == MOST_FILE_BYTES
    assert len(read_file("data:," + "x" * MOST_FILE_BYTES, "notes.txt", "inputs")) == MOST_FILE_BYTES
    for url in (data_url(b"x" * (MOST_FILE_BYTES + 3)), "data:," + "x" * (MOST_FILE_BYTES + 1)):
        with pytest.raises(TooLarge, match=r"notes\.txt"):
            read_file(url, "notes.txt", "inputs")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("data:,50% off", "50% off"),
        ("data:text/plain;base64,AAA", UNREADABLE),
        ("https://example.org/a.txt", UNREADABLE),
        ("data:text/plain;charset=klingon,x", "x"),
        ("data:,%ff%00", "\ufffd\ufffd"),
    ],
)
def test_what_was_taken_before_is_read_as_far_as_it_can_be(url: str, text: str) -> None:
    assert kept_file(url) == text


def test_what_is_read_slowly_is_kept_as_what_is_read_fast() -> None:
    url = "data:text/csv;charset=iso-8859-1,%E9;b"
    assert taken_file(url, "a.csv", "inputs") == data_url("é;b".encode("latin-1"), "text/csv;charset=iso-8859-1")
    fast = data_url("é".encode("latin-1"), "text/csv;charset=iso-8859-1")
    assert taken_file(fast, "a.csv", "inputs") == fast


@pytest.mark.parametrize("charset", sorted(CHARSETS))
def test_what_was_taken_can_be_taken_again_up_to_the_limit(charset: str) -> None:
    text = ("é" * MOST_FILE_BYTES).encode(CHARSETS[charset], "replace")[: MOST_FILE_BYTES - 2]
    padded = f"data:text/plain;charset={charset};base64,{quote(base64.b64encode(text))}"
    kept = taken_file(padded, "notes.txt", "inputs")
    assert taken_file(kept, "notes.txt", "inputs") == kept == data_url(text, f"text/plain;charset={charset}")
    assert kept_file(kept) == text.decode(CHARSETS[charset])


def test_many_escapes_that_were_taken_before_are_read() -> None:
    assert kept_file("data:text/plain," + "%41" * (MOST_ESCAPES + 1)) == "A" * (MOST_ESCAPES + 1)
