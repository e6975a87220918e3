"""The outermost layer, plain ASGI: names every request, checks what costs nothing, counts, and closes while draining.

Runs before routing and before any parser. Which route answers, and to whom, is not known here.
"""

import logging
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tramontane.entrypoints.api.errors import error_response, internal_error, shape_of
from tramontane.entrypoints.api.limits import check_headers, counted, declared_length, swallow, too_large
from tramontane.entrypoints.api.metrics import Metrics
from tramontane.entrypoints.api.origins import Names
from tramontane.entrypoints.api.ports import Doors
from tramontane.foundation.errors import TramontaneError, draining

OPEN_WHILE_DRAINING = frozenset({"/healthz", "/readyz", "/metrics"})
# An export brought along from elsewhere is larger than any question; it is read by one request at a time.
LARGER_BODIES = {"/v1/conversations/import": 50_000_000}
NOT_KEPT = [(b"cache-control", b"no-store")]
log = logging.getLogger(__name__)


class FrontDoor:
    """Wraps the application; see the module. `metrics` counts every answer by route and status."""

    def __init__(self, app: ASGIApp, doors: Doors, metrics: Metrics) -> None:
        self._app = app
        self._doors = doors
        self._metrics = metrics
        self._names = Names(doors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = secrets.token_hex(16)
        scope.setdefault("state", {})["request_id"] = request_id
        named = [(b"x-request-id", request_id.encode()), (b"mistral-correlation-id", request_id.encode())]
        begun_ns = self._doors.clock.monotonic_ns()
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.get("headers", [])
                # Answers are somebody's own; only what says so itself may be kept by browsers and proxies.
                kept = [] if any(name == b"cache-control" for name, _ in headers) else NOT_KEPT
                message["headers"] = [*headers, *named, *kept]
            await send(message)

        self._doors.drain.enter()
        try:
            await self._guarded(scope, receive, send_named)
        except Exception:
            log.exception("request %s broke outside its route", request_id)
            if status:
                raise
            await error_response(internal_error(), shape_of(scope["path"]))(scope, receive, send_named)
        finally:
            self._doors.drain.leave()
            self._metrics.answered(scope, status, self._doors.clock.monotonic_ns() - begun_ns)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self._most_bytes(scope)
        try:
            await self._check(scope, receive)
        except TramontaneError as error:
            await error_response(error, shape_of(scope["path"]))(scope, receive, send)
            return
        await self._app(scope, counted(receive, limit), send)

    async def _check(self, scope: Scope, receive: Receive) -> None:
        headers = scope["headers"]
        settings = self._doors.settings
        check_headers(headers, settings.max_header_bytes)
        self._names.check(scope)
        limit = self._most_bytes(scope)
        if declared_length(headers) > limit:
            await swallow(receive, limit)
            raise too_large(limit)
        if self._doors.drain.closing and scope["path"] not in OPEN_WHILE_DRAINING:
            raise draining()

    def _most_bytes(self, scope: Scope) -> int:
        return max(self._doors.settings.max_body_bytes, LARGER_BODIES.get(scope["path"], 0))
