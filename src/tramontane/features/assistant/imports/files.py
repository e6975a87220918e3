"""What lies in an uploaded export: one JSON file, or a zip with some; nothing is unpacked to a disk, every byte is counted.

A zip may say anything about itself, so only what really comes out of it is believed.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from tramontane.foundation.errors import BadRequest, TooLarge

MOST_MEMBERS = 20_000
MOST_BYTES = 150_000_000
PIECE = 1 << 20
_WANTED = re.compile(
    r"(?:^|/)(?:conversations(?:[-_]\d+)?|chat-[\w.-]+|chats?[\w.-]*|tramontane[\w.-]*)\.json$", re.ASCII
)


def documents(content: bytes) -> Iterator[Any]:
    """The JSON documents of an upload. Raises BadRequest, TooLarge."""
    if content[:4] != b"PK\x03\x04":
        yield _decoded(content, "the file")
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from _members(archive)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, OSError) as error:
        raise BadRequest(f"the zip file cannot be read: {_reason(error)}; send it as it was downloaded") from None


def _members(archive: zipfile.ZipFile) -> Iterator[Any]:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise TooLarge(f"the zip file holds more than {MOST_MEMBERS} files; send the conversations alone")
    wanted = [member for member in members if _WANTED.search(member.filename) and not member.is_dir()]
    if not wanted:
        raise BadRequest("no conversations are in this zip file; send an export of ChatGPT, Le Chat or Open WebUI")
    left = MOST_BYTES
    for member in wanted:
        pieces, left = _content(archive, member, left)
        yield _decoded(pieces, member.filename.rpartition("/")[2][:100])


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> tuple[bytes, int]:
    if member.flag_bits & 1:
        raise BadRequest("the zip file is encrypted; send it without a password")
    pieces = []
    with archive.open(member) as file:
        while piece := file.read(PIECE):
            left -= len(piece)
            if left < 0:
                raise TooLarge(f"what is in the zip file is larger than {MOST_BYTES} bytes; send it in parts")
            pieces.append(piece)
    return b"".join(pieces), left


def _decoded(content: bytes, name: str) -> Any:
    try:
        return msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise BadRequest(f"{name} is not valid JSON; send the export as it was downloaded") from None


def _reason(error: Exception) -> str:
    return "it is damaged or cut off" if not isinstance(error, NotImplementedError) else "its compression is not known"
