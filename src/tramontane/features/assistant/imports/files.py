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
# What a parser makes of one byte can take thirty: empty lists, say. Counted without looking into strings, which is cheap
# and leaves room for texts that are full of brackets and commas.
MOST_CONTAINERS = 4_000_000
MOST_VALUES = 6_000_000
MOST_CONTAINERS_AT_ONCE = 250_000
"""In one conversation: it is parsed in one go, during which nothing else of this process runs."""
SEVERAL = "conversations"
PIECE = 1 << 20
_WANTED = re.compile(
    r"(?:^|/)(?:conversations(?:[-_]\d+)?|chat-[\w.-]+|chats?[\w.-]*|tramontane[\w.-]*)\.json$", re.ASCII
)


class Pieces(list[Any]):
    """A list each item of which is parsed when it is looked at: a whole export at once would hold everything else up."""

    def __iter__(self) -> Iterator[Any]:
        return map(_parsed, super().__iter__())

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return [_parsed(one) for one in found] if isinstance(place, slice) else _parsed(found)


def documents(content: bytes) -> Iterator[Any]:
    """The JSON documents of an upload. Raises BadRequest, TooLarge."""
    if content[:4] != b"PK\x03\x04":
        yield _decoded(content, "the file")
        return
    # The directory is read whole before anybody could count it; each of its records begins with these bytes.
    if content.count(b"PK\x01\x02") > MOST_MEMBERS:
        raise _too_many()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from _members(archive)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, OSError) as error:
        message = f"the zip file cannot be read: {_reason(error)}; send it as it was downloaded"
        raise BadRequest(message, code="zip_unreadable") from None


def _members(archive: zipfile.ZipFile) -> Iterator[Any]:
    wanted = [member for member in archive.infolist() if _WANTED.search(member.filename) and not member.is_dir()]
    if not wanted:
        message = "no conversations are in this zip file; send an export of ChatGPT, Le Chat or Open WebUI"
        raise BadRequest(message, code="zip_without_conversations")
    left = MOST_BYTES
    for member in wanted:
        pieces, left = _content(archive, member, left)
        yield _decoded(pieces, member.filename.rpartition("/")[2][:100])


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> tuple[bytes, int]:
    if member.flag_bits & 1:
        raise BadRequest("the zip file is encrypted; send it without a password", code="zip_encrypted")
    pieces = []
    with archive.open(member) as file:
        while piece := file.read(PIECE):
            left -= len(piece)
            if left < 0:
                message = f"what is in the zip file is larger than {MOST_BYTES} bytes; send it in parts"
                raise TooLarge(message, code="export_too_large")
            pieces.append(piece)
    return b"".join(pieces), left


def _decoded(content: bytes, name: str) -> Any:
    if content.count(b"[") + content.count(b"{") > MOST_CONTAINERS or content.count(b",") > MOST_VALUES:
        message = f"{name} holds more lists, objects or values than can be read at once; send it in parts"
        raise TooLarge(message, code="export_too_large")
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        if _is_list(content):
            return _pieces(content)
        data = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        return {
            key: _pieces(piece) if key == SEVERAL and _is_list(memoryview(piece)) else _parsed(piece)
            for key, piece in data.items()
        }
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        message = f"{name} is not valid JSON; send the export as it was downloaded"
        raise BadRequest(message, code="export_not_json") from None


def _is_list(content: bytes | memoryview) -> bool:
    return re.match(rb"[ \t\r\n]*\[", content) is not None


def _pieces(content: bytes | msgspec.Raw) -> Pieces:
    return Pieces(msgspec.json.decode(content, type=list[msgspec.Raw]))


def _parsed(piece: msgspec.Raw) -> Any:
    """None for what cannot be one conversation, which its reader then names."""
    content = memoryview(piece).tobytes()
    if content.count(b"[") + content.count(b"{") > MOST_CONTAINERS_AT_ONCE:
        return None
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _too_many() -> TooLarge:
    message = f"the zip file holds more than {MOST_MEMBERS} files; send the conversations alone"
    return TooLarge(message, code="export_too_large")


def _reason(error: Exception) -> str:
    return "it is damaged or cut off" if not isinstance(error, NotImplementedError) else "its compression is not known"
