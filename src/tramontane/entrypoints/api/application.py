"""Builds the HTTP application from a `Doors`: routes, error shapes for unknown paths, the front door around it all."""

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

import tramontane
from tramontane.entrypoints.api import (
    chat,
    completions,
    conversations,
    embeddings,
    fim,
    health,
    metrics,
    models,
    openapi,
    projects,
    shares,
    shortcuts,
    tokenize,
)
from tramontane.entrypoints.api.errors import error_response, shape_of
from tramontane.entrypoints.api.front import FrontDoor
from tramontane.entrypoints.api.generate import Generator
from tramontane.entrypoints.api.origins import SharedApi
from tramontane.entrypoints.api.policy import check_policies, door_route
from tramontane.entrypoints.api.ports import Doors
from tramontane.foundation.errors import BadRequest, NotFound, TramontaneError


def build_app(doors: Doors) -> ASGIApp:
    """The whole application. Raises Misconfigured when a route declares no policy."""
    measured = metrics.Metrics(doors.engine.status)
    app = build_routes(doors, measured)
    check_policies(app.routes)
    inner: ASGIApp = Routed(app)
    if doors.settings.cors_origins:
        inner = SharedApi(inner, doors.settings.cors_origins)
    return FrontDoor(inner, doors, measured)


def build_routes(doors: Doors, measured: metrics.Metrics) -> FastAPI:
    """The routed application without its front door."""
    app = FastAPI(
        title="Tramontane",
        summary="Open-weight models through the Mistral and OpenAI APIs",
        version=tramontane.__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    routes = app.router
    routes.route_class = door_route(doors)
    generator = Generator(doors, measured)
    chat.add_routes(routes, generator)
    fim.add_routes(routes, generator)
    completions.add_routes(routes, generator)
    embeddings.add_routes(routes, doors, measured, generator)
    models.add_routes(routes, doors)
    tokenize.add_routes(routes, doors, generator)
    conversations.add_routes(routes, doors, measured, generator)
    if doors.assistant is not None:
        for beside in (projects, shares, shortcuts):
            beside.add_routes(routes, doors.assistant)
    health.add_routes(routes, doors)
    metrics.add_routes(routes, measured)
    for add_routes in doors.more:
        add_routes(routes)
    if doors.settings.docs:
        openapi.add_routes(routes, app)
    return app


class Routed:
    """Calls the routes of an application without the framework's middleware; unknown paths get our error shape."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._app
        try:
            await self._app.router(scope, receive, send)
        except HTTPException as error:
            await unknown(scope, error)(scope, receive, send)


def unknown(scope: Scope, error: HTTPException) -> Response:
    """Paths and methods nobody answers, in the dialect of the path."""
    path = scope["path"]
    problem: TramontaneError = NotFound(f"there is nothing at {path[:200]}; the API is described at /docs")
    if error.status_code == 405:
        message = f"{scope['method']} is not answered at {path[:200]}; the API is described at /docs"
        problem = BadRequest(message, code="method_not_allowed")
    response = error_response(problem, shape_of(path))
    response.headers.update(error.headers or {})
    return response
