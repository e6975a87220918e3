"""Text files that come along in `data:` addresses: what of such an address is read, and how its bytes become words.

Knows addresses, sizes and alphabets; knows neither entries nor models. `content` and the door that takes files ask it.
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
_ADDRESS = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*)(;base64)?,", re.ASCII)
_CHARSET = re.compile(r";charset=\"?([^;\"]*)\"?", re.IGNORECASE)
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class _Address(NamedTuple):
    kind: str
    charset: str
    base64: bool
    written: str


def read_file(url: str, name: str, field: str, *, kept: bool = False) -> str:
    """The text of an attached file. `kept`: it was taken once, so what can be read of it is read.

    Raises TooLarge, BadRequest (415) for what is no text, InvalidFields for what is no data URL or a broken one.
    """
    address = _address(url, field)
    # Each byte takes three characters where all are percent-encoded.
    if len(address.written) > (MOST_FILE_BYTES * 4 // 3 + 4 if address.base64 else MOST_FILE_BYTES * 3):
        raise _too_large(name, field)
    if not address.kind.startswith("text/") and address.kind not in TEXT_TYPES:
        raise _no_text(name, "UTF-8", field)
    charset = CHARSETS.get(address.charset.lower(), "utf-8" if kept else "")
    if not charset:
        known = ", ".join(("UTF-8", "UTF-16", "ISO-8859-1", "ISO-8859-15", "Windows-1252"))
        message = f"the charset {address.charset[:40]!r} of the file {name} is not read; send it in one of {known}"
        raise InvalidFields.of(field, message)
    content = _bytes(address, name, field, kept)
    if not kept and not address.base64 and len(content) > MOST_FILE_BYTES:
        raise _too_large(name, field)
    if kept:
        return content.decode(charset, "replace").replace("\x00", "\ufffd")
    try:
        text = content.decode(charset)
    except UnicodeDecodeError:
        raise _no_text(name, charset.upper(), field) from None
    if "\x00" in text:
        raise _no_text(name, charset.upper(), field)
    return text


def _address(url: str, field: str) -> _Address:
    found = _ADDRESS.match(url)
    if found is not None:
        charset = _CHARSET.search(found[2])
        return _Address(
            found[1] or "text/plain", charset[1] if charset else "utf-8", bool(found[3]), url[found.end() :]
        )
    if not url.startswith("data:"):
        raise InvalidFields.of(field, "only files sent along are read; send a data: URL, nothing is fetched")
    message = (
        "this data: URL cannot be read; write data:text/plain;base64,DATA, or data:text/plain;charset=utf-8,TEXT with "
        "its special characters percent-encoded"
    )
    raise InvalidFields.of(field, message)


def _bytes(address: _Address, name: str, field: str, kept: bool) -> bytes:
    """What is written after the comma. Characters beyond ASCII stand for themselves in UTF-8, as in every address."""
    if not kept and _BROKEN_PERCENT.search(address.written):
        message = f"the file {name} has a % without two hexadecimal digits after it; write %25 for the character itself"
        raise InvalidFields.of(field, message)
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
