"""How every way in over HTTP answers with JSON, or with nothing more to say. That nobody keeps it is the front's affair."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def empty() -> Response:
    """Done, and no more to say."""
    return Response(status_code=204)
