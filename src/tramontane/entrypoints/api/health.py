"""`/healthz`: the process runs. `/readyz`: which models can answer. Neither costs a model anything."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.engine.nouns import EngineStatus
from tramontane.entrypoints.api.answers import json_response
from tramontane.entrypoints.api.policy import public
from tramontane.entrypoints.api.ports import Doors


def readiness(status: EngineStatus, required: Sequence[str], closing: bool) -> tuple[int, dict[str, Any]]:
    """Status and body: ready when not closing and every required model answers; pure."""
    replicas = status.replicas
    waiting = [name for name in required if name not in replicas or replicas[name].state != "ready"]
    closing = closing or status.draining
    rows = {
        name: {"state": one.state, "stage": one.stage, "done": one.done, "total": one.total}
        for name, one in replicas.items()
    }
    state = "draining" if closing else "loading" if waiting else "ready"
    return (200 if state == "ready" else 503), {"status": state, "models": rows, "waiting_for": waiting}


def alive() -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json")


def add_routes(routes: APIRouter, doors: Doors) -> None:
    @routes.get("/healthz", tags=["operations"], response_class=Response, summary="The process runs")
    @public
    async def healthz(request: Request) -> Response:
        return alive()

    @routes.get("/readyz", tags=["operations"], response_class=Response, summary="Which models can answer")
    @public
    async def readyz(request: Request) -> Response:
        status, body = readiness(doors.engine.status(), doors.required, doors.drain.closing)
        headers = {} if status == 200 else {"retry-after": "5"}
        return json_response(body, status, headers)
