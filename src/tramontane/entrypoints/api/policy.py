"""Who may use a route: every route says so, or the application does not start.

`door_route` makes the route class of one application: it finds the caller, reads the body and turns errors into
answers, in that order. Endpoints stay plain functions of a checked body.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal, get_args

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from tramontane.entrypoints.api.body import read_body
from tramontane.entrypoints.api.errors import error_response, internal_error, shape_of
from tramontane.entrypoints.api.ports import Doors
from tramontane.entrypoints.api.presence import ClientGone
from tramontane.entrypoints.api.principal import caller_of
from tramontane.foundation.errors import Forbidden, Misconfigured, TramontaneError

Policy = Literal["public", "key", "inference"]
Endpoint = Callable[..., Awaitable[Any]]
log = logging.getLogger(__name__)


def public(endpoint: Endpoint) -> Endpoint:
    """Anyone may call it."""
    endpoint.policy = "public"  # type: ignore[attr-defined]
    return endpoint


def needs_key(endpoint: Endpoint) -> Endpoint:
    """Only a known caller; it stands in `request.state.caller`."""
    endpoint.policy = "key"  # type: ignore[attr-defined]
    return endpoint


def needs_inference(endpoint: Endpoint) -> Endpoint:
    """Only a known caller whose key may spend compute; it stands in `request.state.caller`."""
    endpoint.policy = "inference"  # type: ignore[attr-defined]
    return endpoint


def policy_of(route: BaseRoute) -> Policy:
    """Raises Misconfigured for a route that declares none."""
    policy: Policy | None = getattr(getattr(route, "endpoint", None), "policy", None)
    if policy is None or policy not in get_args(Policy):
        path = getattr(route, "path", route)
        raise Misconfigured(
            f"the route {path} declares no policy; mark its function as policy.py offers, say @needs_key"
        )
    return policy


def check_policies(routes: list[BaseRoute]) -> None:
    """Every route must declare a policy and be of the class that enforces it. Raises Misconfigured."""
    for route in routes:
        policy_of(route)
        if not getattr(type(route), "enforces_policy", False):
            raise Misconfigured(
                f"the route {getattr(route, 'path', route)} bypasses the doors; add it through a router"
            )


def _body_model(endpoint: Endpoint) -> type[BaseModel] | None:
    parameter = inspect.signature(endpoint).parameters.get("body")
    return None if parameter is None else parameter.annotation


def door_route(doors: Doors) -> type[APIRoute]:
    """The route class of one application."""

    class DoorRoute(APIRoute):
        enforces_policy = True

        def __init__(self, path: str, endpoint: Endpoint, **described: Any) -> None:
            super().__init__(path, endpoint, **described)
            guarded = _guarded(endpoint, policy_of(self), _body_model(endpoint), doors)

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                response = await guarded(Request(scope, receive, send))
                await response(scope, receive, send)

            # The framework's own way in resolves dependencies we do not have and wraps every chunk of a stream.
            self.app = app

    return DoorRoute


def _guarded(
    endpoint: Endpoint, policy: Policy, model: type[BaseModel] | None, doors: Doors
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if policy != "public":
            caller = request.state.caller = await caller_of(request.scope, doors.authenticate)
            if policy == "inference" and policy not in caller.roles:
                raise Forbidden("this key may not ask a model for answers; use one with the right `inference`")
        if model is None:
            return await endpoint(request=request, **request.path_params)
        body = await read_body(request, model, doors.settings)
        return await endpoint(request=request, body=body, **request.path_params)

    async def guarded(request: Request) -> Response:
        shape = shape_of(request.scope["path"])
        try:
            return await answer(request)
        except ClientGone as gone:
            return error_response(gone, shape)
        except TramontaneError as error:
            if error_response(error, shape).status_code >= 500:
                log.warning("request %s: %s: %s", request.state.request_id, type(error).__name__, error.message)
            return error_response(error, shape)
        except Exception:
            log.exception("request %s broke", request.state.request_id)
            return error_response(internal_error(), shape)

    return guarded
