"""What a request may weigh before anything reads it: headers, body bytes, JSON depth and size, content type.

Pure functions of headers and bytes, plus the counting wrapper around the server's `receive`. Knows no route.
"""

import asyncio
import contextlib
import re
from collections.abc import Iterable
from itertools import accumulate

from starlette.types import Message, Receive

from tramontane.foundation.errors import BadRequest, InvalidFields, TooLarge

MOST_HEADERS = 100
MOST_CONTAINERS = 100_000
MOST_VALUES = 140_000
SWALLOW_FACTOR = 8
SWALLOW_S = 5
SINGLE_HEADERS = frozenset({b"host", b"content-type", b"content-length", b"content-encoding"})
# An unclosed string runs to the end, so that a body of escaped quotes is read once and not once per quote.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_DEPTH_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(value for value in range(256) if value not in b"[]{}")


def check_headers(headers: Iterable[tuple[bytes, bytes]], max_bytes: int) -> None:
    """Raises BadRequest (431 or 400) for too many, too large or doubled headers."""
    total = count = 0
    seen = set()
    for name, value in headers:
        count += 1
        total += len(name) + len(value) + 4
        if name in SINGLE_HEADERS:
            if name in seen:
                raise BadRequest(f"the header {name.decode()} came twice; send it once")
            seen.add(name)
    if count > MOST_HEADERS or total > max_bytes:
        raise BadRequest(
            f"the headers are too many or too large; send at most {MOST_HEADERS} of {max_bytes} bytes in all",
            code="headers_too_large",
        )


def declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """The Content-Length of a request, 0 when there is none. Raises BadRequest when it is no number."""
    value = next((value for name, value in headers if name == b"content-length"), b"0")
    if not value.isdigit():
        raise BadRequest("content-length is not a number; send the body's length in bytes")
    return int(value[:20])


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes; send less, or raise http.max_body_bytes on the server")


def counted(receive: Receive, limit: int) -> Receive:
    """The same `receive`, raising TooLarge as soon as more than `limit` body bytes have come."""
    seen = 0

    async def receive_counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            if message.get("more_body", False):
                await swallow(receive, limit)
            raise too_large(limit)
        return message

    return receive_counted


async def swallow(receive: Receive, limit: int) -> None:
    """Read and drop the rest of a body, within reason: most clients read the refusal only after sending all."""
    dropped = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SWALLOW_S):
            while dropped <= limit * SWALLOW_FACTOR:
                message = await receive()
                dropped += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def check_content_type(value: str | None, encoding: str | None) -> None:
    """Raises BadRequest (415) for anything but JSON in UTF-8; no content type at all passes."""
    if encoding and encoding.lower() != "identity":
        raise BadRequest("content-encoding is not supported; send the body as it is", code="unsupported_media_type")
    if not value:
        return
    media, _, parameters = value.lower().partition(";")
    media = media.strip()
    if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
        raise BadRequest("send the header `content-type: application/json`", code="unsupported_media_type")
    charset = parameters.partition("charset=")[2].strip(' "')
    if charset and charset not in ("utf-8", "utf8", "us-ascii"):
        raise BadRequest("send JSON in UTF-8", code="unsupported_media_type")


def json_depth(body: bytes) -> tuple[int, int]:
    """How deep brackets nest outside strings, and how many open there; cheap even for hostile bodies."""
    outside = _STRING.sub(b"", body) if b'"' in body else body
    brackets = outside.translate(None, _NO_BRACKETS)
    opened = brackets.count(b"[") + brackets.count(b"{")
    if opened > MOST_CONTAINERS:
        return 0, opened
    steps = memoryview(brackets.translate(_DEPTH_STEPS)).cast("b")
    return max(accumulate(steps, initial=0)), opened


def check_json(body: bytes, max_depth: int) -> None:
    """Raises BadRequest or InvalidFields for what must not reach a parser; well-formedness is the parser's matter."""
    if not body:
        raise InvalidFields.of("", "the body is empty; send a JSON object", "missing")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not valid UTF-8 at byte {error.start}; send JSON in UTF-8") from None
    if body.count(b",") > MOST_VALUES and _STRING.sub(b"", body).count(b",") > MOST_VALUES:
        raise BadRequest(f"the body has more than {MOST_VALUES} values; split it into several requests")
    if body.count(b"[") + body.count(b"{") <= max_depth:
        return
    depth, containers = json_depth(body)
    if containers > MOST_CONTAINERS:
        raise BadRequest(f"the body has {containers} lists and objects, the limit is {MOST_CONTAINERS}; send fewer")
    if depth > max_depth:
        raise BadRequest(f"the body nests {depth} levels deep, the limit is {max_depth}; send flatter JSON")
