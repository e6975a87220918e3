"""Text files that come along in `data:` addresses: what of such an address is read, how its bytes become words, how it is kept.

Knows addresses, sizes and alphabets; knows neither entries nor models. `content`, imports and the door that takes files ask it.
"""

import base64
import binascii
import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from tramontane.foundation.errors import BadRequest, InvalidFields, TooLarge

MOST_FILE_BYTES = 1_000_000
TEXT_TYPES = frozenset({
    "application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml",
    "application/javascript", "application/x-sh", "application/sql", "application/octet-stream",
})  # fmt: skip
# By the names that are written in addresses. What is not here is refused rather than guessed.
CHARSETS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii", "iso-8859-1": "latin-1",
    "latin1": "latin-1", "iso-8859-15": "iso8859-15", "windows-1252": "cp1252", "cp1252": "cp1252", "utf-16": "utf-16",
    "utf-16le": "utf-16-le", "utf-16be": "utf-16-be",
}  # fmt: skip
MOST_BEFORE_COMMA = 1000
MOST_ESCAPES = 100_000
"""Percent signs: undoing them takes a hundred times as long as base64."""
UNREADABLE = "[this file cannot be read]"
_ADDRESS = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*)(;base64)?,", re.ASCII | re.IGNORECASE)
_CHARSET = re.compile(r";charset=\"?([^;\"]*)\"?", re.IGNORECASE)
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class _Address(NamedTuple):
    kind: str
    charset: str
    base64: bool
    written: str


def comes_along(url: str) -> bool:
    """Whether an address holds what it names, so that nothing would have to be fetched."""
    return url[:5].lower() == "data:"


def taken_file(url: str, name: str, field: str) -> str:
    """The address under which an attached file is kept: itself, or as base64, which is read fast at each turn to come.

    Raises TooLarge, BadRequest (415) for what is no text, InvalidFields for what is no data URL or a broken one.
    """
    address = _address(url[:MOST_BEFORE_COMMA], url, field)
    content = _read(address, name, field)
    if address.base64 and "%" not in address.written:
        return url
    return f"data:{address.kind};charset={address.charset.lower()};base64,{base64.b64encode(content).decode()}"


def kept_file(url: str) -> str:
    """The text of a file that was taken once: whatever can be read of it."""
    try:
        address = _address(url, url, "")
        content = _bytes(address, "", "")
    except InvalidFields:
        return UNREADABLE
    return content.decode(CHARSETS.get(address.charset.lower(), "utf-8"), "replace").replace("\x00", "\ufffd")


def _read(address: _Address, name: str, field: str) -> bytes:
    """What it carries, once that is seen to be text."""
    # Each byte takes three characters where all are percent-encoded.
    if len(address.written) > (MOST_FILE_BYTES * 4 // 3 + 4 if address.base64 else MOST_FILE_BYTES * 3):
        raise _too_large(name, field)
    if not address.kind.startswith("text/") and address.kind not in TEXT_TYPES:
        raise _no_text(name, "UTF-8", field)
    charset = CHARSETS.get(address.charset.lower())
    if charset is None:
        known = "UTF-8, UTF-16, ISO-8859-1, ISO-8859-15, Windows-1252"
        message = f"the charset {address.charset[:40]!r} of the file {name} is not read; send it in one of {known}"
        raise InvalidFields.of(field, message)
    if address.written.count("%") > MOST_ESCAPES:
        message = f"the file {name} has more than {MOST_ESCAPES} percent-encoded bytes; send it as base64"
        raise InvalidFields.of(field, message)
    if _BROKEN_PERCENT.search(address.written):
        message = f"the file {name} has a % without two hexadecimal digits after it; write %25 for the character itself"
        raise InvalidFields.of(field, message)
    content = _bytes(address, name, field)
    if len(content) > MOST_FILE_BYTES:
        raise _too_large(name, field)
    try:
        text = content.decode(charset)
    except UnicodeDecodeError:
        raise _no_text(name, charset.upper(), field) from None
    if "\x00" in text:
        raise _no_text(name, charset.upper(), field)
    return content


def _address(begin: str, url: str, field: str) -> _Address:
    """`begin` is as much of the URL as its comma is looked for in."""
    found = _ADDRESS.match(begin)
    if found is not None:
        charset = _CHARSET.search(found[2])
        kind = (found[1] or "text/plain").lower()
        return _Address(kind, charset[1] if charset else "utf-8", bool(found[3]), url[found.end() :])
    if not comes_along(url):
        raise InvalidFields.of(field, "only files sent along are read; send a data: URL, nothing is fetched")
    message = (
        "this data: URL cannot be read; write data:text/plain;base64,DATA, or data:text/plain;charset=utf-8,TEXT with "
        "its special characters percent-encoded"
    )
    raise InvalidFields.of(field, message)


def _bytes(address: _Address, name: str, field: str) -> bytes:
    """What is written after the comma. Characters beyond ASCII stand for themselves in UTF-8, as in every address."""
    content = unquote_to_bytes(address.written)
    if not address.base64:
        return content
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidFields.of(field, f"the file {name} is not valid base64") from None


def _too_large(name: str, field: str) -> TooLarge:
    return TooLarge(f"the file {name} is larger than {MOST_FILE_BYTES} bytes; send a shorter one", param=field)


def _no_text(name: str, charset: str, field: str) -> BadRequest:
    message = (
        f"the file {name} is not text in {charset}; text files work (plain text, Markdown, code, CSV, JSON), "
        "other documents do not yet"
    )
    return BadRequest(message, param=field, code="unsupported_media_type")
