"""How every way in over HTTP answers with JSON, or with nothing more to say. That nobody keeps it is the front's affair."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.responses import Response

_encode = msgspec.json.encode


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(_encode(content), status, headers, media_type="application/json")


def encoded_response(content: bytes) -> Response:
    """JSON that is written already."""
    return Response(content, media_type="application/json")


def with_list(content: Mapping[str, Any], name: str, items: Iterable[Any]) -> bytes:
    """The JSON of an object, which has fields already, with one more: a list that may be long.

    For a thread beside the event loop. It is written piece by piece, since no other thread goes on during one piece.
    """
    pieces = b",".join(_encode(item) for item in items)
    return b"".join((_encode(content)[:-1], b',"', name.encode(), b'":[', pieces, b"]}"))


def empty() -> Response:
    """Done, and no more to say."""
    return Response(status_code=204)
