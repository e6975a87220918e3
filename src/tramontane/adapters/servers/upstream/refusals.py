"""What another server's refusal means to our caller.

Knows statuses and the shapes of error bodies; knows no connection. A refusal that is the caller's doing stays a
BadRequest; a wrong key or model name between the two servers is ours and never shows the credential.
"""

import re

import msgspec

from tramontane.adapters.servers.upstream.reading import error_text
from tramontane.foundation.errors import (
    BadRequest,
    ContextExceeded,
    EngineFailed,
    ModelUnavailable,
    Overloaded,
    TramontaneError,
)

RETRY_AFTER_S = 5.0
_MOST_RETRY_AFTER_S = 60.0
_TOO_LONG = re.compile(
    r"context[_ ](length|size|window)|maximum context|exceeds? the (available )?context|too many tokens", re.I
)


def refusal(model: str, status: int, body: bytes, retry_after: str | None = None) -> TramontaneError:
    """The error of our tree for an answer that is none."""
    text, code, param = _read(body)
    said = f"{text} " if text else ""
    if status in (400, 413, 422):
        if _TOO_LONG.search(f"{code} {text}"):
            return ContextExceeded(text, param=param or "messages")
        return BadRequest(text or f"the server of {model} refused the request without a reason", param=param)
    if status in (401, 403):
        message = f"the server of {model} refuses our credentials; an administrator must set its key"
        return ModelUnavailable(message, retry_after_s=_MOST_RETRY_AFTER_S)
    if status == 404:
        message = f"the server of {model} does not know this model; an administrator must correct its name. {said}"
        return ModelUnavailable(message.strip(), retry_after_s=_MOST_RETRY_AFTER_S)
    if status in (429, 503):
        return Overloaded(f"the server of {model} is busy. {said}Try again".strip(), retry_after_s=_wait(retry_after))
    return EngineFailed(f"the server of {model} answered with status {status}. {said}Try again")


def _wait(retry_after: str | None) -> float:
    try:
        return min(max(float(retry_after or RETRY_AFTER_S), 1.0), _MOST_RETRY_AFTER_S)
    except ValueError:
        return RETRY_AFTER_S


def _read(body: bytes) -> tuple[str, str, str | None]:
    """Message, code and field of an error body, whatever its shape."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return error_text(body.decode("utf-8", "replace")), "", None
    error = content.get("error", content) if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return error_text(error), "", None
    param = error.get("param")
    code = f"{error.get('code') or ''} {error.get('type') or ''}"
    return error_text(error), code, param if isinstance(param, str) else None
