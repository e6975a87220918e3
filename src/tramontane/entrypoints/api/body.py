"""Reads a request's JSON body into a checked model: bytes, limits, parse, fields. One way for every route.

Knows pydantic and the limits; which fields exist is the dialects' matter.
"""

import asyncio
import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from tramontane.entrypoints.api.body_budget import HeldBody
from tramontane.entrypoints.api.limits import check_content_type, check_json
from tramontane.entrypoints.api.presence import ClientGone
from tramontane.foundation.errors import BadRequest, FieldProblem, InvalidFields
from tramontane.foundation.settings import HttpSettings

Body = TypeVar("Body", bound=BaseModel)
SLOWEST_BODY_S = 30
MOST_PROBLEMS = 20
MOST_IGNORED = 20
_HEADER_SAFE = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


async def read_body(request: Request, model: type[Body], settings: HttpSettings, held: HeldBody) -> Body:
    """The body as `model`. Raises InvalidFields naming every wrong field; BadRequest, TooLarge, RateLimited or
    Overloaded before parsing."""
    headers = request.headers
    check_content_type(headers.get("content-type"), headers.get("content-encoding"))
    try:
        async with asyncio.timeout(SLOWEST_BODY_S):
            content = await _content(request, held)
    except TimeoutError:
        raise BadRequest(
            f"the body took longer than {SLOWEST_BODY_S} s; send it faster", code="request_timeout"
        ) from None
    return parse(content, model, settings.max_json_depth)


async def _content(request: Request, held: HeldBody) -> bytes:
    pieces = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        held.grow(len(piece))
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


def parse(content: bytes, model: type[Body], max_depth: int) -> Body:
    """Bytes to a checked model; pure."""
    check_json(content, max_depth)
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise InvalidFields(_problems(error)) from None


def _problems(error: ValidationError) -> list[FieldProblem]:
    details = error.errors(include_url=False, include_context=False, include_input=False)[:MOST_PROBLEMS]
    return [FieldProblem(("body", *item["loc"]), item["msg"], item["type"]) for item in details]


def ignored_fields(body: BaseModel) -> str:
    """Names of the top-level fields nobody reads, as a header value; empty when there are none."""
    extra = body.model_extra
    if not extra:
        return ""
    return ",".join([name for name in extra if _HEADER_SAFE.fullmatch(name)][:MOST_IGNORED])
