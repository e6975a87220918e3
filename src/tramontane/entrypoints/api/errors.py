"""The one place where an error of the tree becomes a status, headers and a body, in the shape of each dialect.

Bodies hold only messages of our own errors; anything unforeseen becomes a fixed sentence and the request id is in
the headers. Used by the front door, the routes and the streams.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from starlette.responses import Response

from tramontane.foundation.errors import (
    BadRequest,
    Conflict,
    DeadlineExceeded,
    EngineFailed,
    Forbidden,
    InvalidFields,
    Misconfigured,
    ModelUnavailable,
    NotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    StorageFull,
    TooLarge,
    TramontaneError,
    Unauthenticated,
)

Shape = Literal["mistral", "openai"]
LONGEST_RETRY_S = 60
INTERNAL = "something broke inside; try again, and give the x-request-id of this answer to whoever runs the server"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a class of errors looks outside. `status_openai` where the dialects differ."""

    status: int
    type: str
    status_openai: int | None = None


RULES: dict[type[TramontaneError], Rule] = {
    InvalidFields: Rule(422, "invalid_request_error", status_openai=400),
    BadRequest: Rule(400, "invalid_request_error"),
    Unauthenticated: Rule(401, "authentication_error"),
    Forbidden: Rule(403, "permission_error"),
    NotFound: Rule(404, "invalid_request_error"),
    Conflict: Rule(409, "invalid_request_error"),
    TooLarge: Rule(413, "invalid_request_error"),
    RateLimited: Rule(429, "rate_limit_error"),
    QuotaExhausted: Rule(429, "rate_limit_error"),
    Overloaded: Rule(503, "server_error"),
    ModelUnavailable: Rule(503, "server_error"),
    DeadlineExceeded: Rule(504, "server_error"),
    StorageFull: Rule(507, "server_error"),
    EngineFailed: Rule(502, "server_error"),
    Misconfigured: Rule(500, "server_error"),
    TramontaneError: Rule(500, "server_error"),
}
STATUS_BY_CODE = {
    "method_not_allowed": 405,
    "request_timeout": 408,
    "unsupported_media_type": 415,
    "headers_too_large": 431,
    "client_closed_request": 499,
}


def shape_of(path: str) -> Shape:
    """Whose error shape a path speaks."""
    return "openai" if path.startswith("/openai/") else "mistral"


def rule_of(error: TramontaneError) -> Rule:
    return next(RULES[kind] for kind in type(error).__mro__ if kind in RULES)


def status_of(error: TramontaneError, shape: Shape = "mistral") -> int:
    if error.code in STATUS_BY_CODE:
        return STATUS_BY_CODE[error.code]
    rule = rule_of(error)
    return rule.status_openai if shape == "openai" and rule.status_openai else rule.status


def error_body(error: TramontaneError, shape: Shape) -> dict[str, Any]:
    """The body: flat with `object` for Mistral clients, under `error` for OpenAI clients."""
    words = {"message": error.message, "type": rule_of(error).type, "param": error.param, "code": error.code}
    core = {**error.details, **words}
    if shape == "openai":
        return {"error": core}
    body: dict[str, Any] = {"object": "error", **core}
    if isinstance(error, InvalidFields):
        body["detail"] = [
            {"loc": list(problem.location), "msg": problem.message, "type": problem.kind} for problem in error.problems
        ]
    elif isinstance(error, Unauthenticated):
        body["detail"] = "Unauthorized"
    return body


def error_headers(error: TramontaneError) -> dict[str, str]:
    """Retry-After in whole seconds 1..60 where waiting helps, and the schemes where a key is missing."""
    headers: dict[str, str] = {}
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        headers["retry-after"] = str(min(LONGEST_RETRY_S, max(1, math.ceil(retry_after_s))))
    if isinstance(error, QuotaExhausted):
        headers["x-should-retry"] = "false"
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    return headers


def error_response(error: TramontaneError, shape: Shape) -> Response:
    content = msgspec.json.encode(error_body(error, shape))
    return Response(content, status_of(error, shape), error_headers(error), media_type="application/json")


def internal_error() -> TramontaneError:
    return TramontaneError(INTERNAL)


def error_named(code: str, message: str) -> TramontaneError:
    """The error a stream's last word speaks of, so that a whole answer gets the status it would have had at the start."""
    kind = _CODES.get(code, TramontaneError)
    if kind is InvalidFields:
        return BadRequest(message, code=code)
    if kind in (RateLimited, QuotaExhausted, Overloaded, ModelUnavailable):
        return kind(message, retry_after_s=1.0, code=code)
    return kind(message, code=code)


def _codes() -> dict[str, type[TramontaneError]]:
    """By code; the last ones are words that no class carries as its own code."""
    return {kind.code: kind for kind in RULES} | {
        "context_length_exceeded": BadRequest,
        "draining": Overloaded,
        "cancelled": Conflict,
    }


_CODES = _codes()
