"""The doors while nobody stands behind them: every request is refused in its dialect's shape, plain ASGI.

Only `/healthz` answers, since the process lives.
"""

import secrets

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from tramontane.entrypoints.api.errors import error_headers, error_response, shape_of
from tramontane.entrypoints.api.health import alive
from tramontane.foundation.errors import Overloaded


class Closed:
    """Wraps one refusal; its body is never read, so nothing a caller sends is waited for."""

    def __init__(self, refusal: Overloaded) -> None:
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        response = self._answer(Request(scope))
        request_id = secrets.token_hex(16)
        response.headers["x-request-id"] = response.headers["mistral-correlation-id"] = request_id
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        if request.url.path == "/healthz":
            return alive()
        if "text/html" not in request.headers.get("accept", ""):
            return error_response(self._refusal, shape_of(request.url.path))
        # Somebody looks at a page: it comes back by itself.
        headers = error_headers(self._refusal)
        return PlainTextResponse(self._refusal.message, 503, {**headers, "refresh": headers["retry-after"]})
