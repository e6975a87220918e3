"""Who may use a route: every route says so, or the application does not start.

Keys and people pass `needs_key` and `needs_inference`; the pages of a browser have `visitor`, `needs_person` and the two
roles above it, which no key passes. `door_route` makes the route class of one application: it finds the caller, reads
the body and turns errors into answers, in that order. Endpoints stay plain functions of a checked body.
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
from tramontane.entrypoints.api.body_budget import BodyBudget, HeldBody
from tramontane.entrypoints.api.errors import error_response, internal_error, shape_of
from tramontane.entrypoints.api.ports import Doors
from tramontane.entrypoints.api.presence import ClientGone
from tramontane.entrypoints.api.principal import principal_of, visitor_of
from tramontane.foundation.errors import Forbidden, Misconfigured, NotFound, TramontaneError
from tramontane.foundation.nouns import Caller
from tramontane.records.access.nouns import ROLES, Role

Policy = Literal["public", "visitor", "key", "inference", "person", "builder", "administrator"]
Endpoint = Callable[..., Awaitable[Any]]
log = logging.getLogger(__name__)
_BY_KEY: tuple[Policy, ...] = ("key", "inference")
_ROLES_BY_POLICY: dict[Policy, tuple[Role, ...]] = {
    "person": ROLES,
    "builder": ("administrator", "builder"),
    "administrator": ("administrator",),
}


def public(endpoint: Endpoint) -> Endpoint:
    """Anyone may call it."""
    endpoint.policy = "public"  # type: ignore[attr-defined]
    return endpoint


def needs_key(endpoint: Endpoint) -> Endpoint:
    """Only a known caller; it stands in `request.state.caller`."""
    endpoint.policy = "key"  # type: ignore[attr-defined]
    return endpoint


def needs_inference(endpoint: Endpoint) -> Endpoint:
    """Only a known caller whose key may ask models and see what it asked; it stands in `request.state.caller`."""
    endpoint.policy = "inference"  # type: ignore[attr-defined]
    return endpoint


def visitor(endpoint: Endpoint) -> Endpoint:
    """Anyone's browser; who is signed in stands in `request.state.signed_in`, None for nobody. Changes: own page only."""
    endpoint.policy = "visitor"  # type: ignore[attr-defined]
    return endpoint


def needs_person(endpoint: Endpoint) -> Endpoint:
    """Only a signed-in person, who stands in `request.state.signed_in` and `request.state.caller`."""
    endpoint.policy = "person"  # type: ignore[attr-defined]
    return endpoint


def needs_builder(endpoint: Endpoint) -> Endpoint:
    """Only a signed-in builder or administrator of the workspace."""
    endpoint.policy = "builder"  # type: ignore[attr-defined]
    return endpoint


def needs_administrator(endpoint: Endpoint) -> Endpoint:
    """Only a signed-in administrator of the workspace."""
    endpoint.policy = "administrator"  # type: ignore[attr-defined]
    return endpoint


async def admit(request: Request, policy: Policy, doors: Doors) -> Caller | None:
    """Who asks, if they may; None for whom nobody asks. Raises Unauthenticated, Forbidden or a storage error."""
    if policy == "public":
        return None
    if policy == "visitor":
        visiting = request.state.signed_in = await visitor_of(request.scope, doors)
        return visiting.caller if visiting else None
    principal = await principal_of(request.scope, doors)
    caller = request.state.caller = principal.caller
    signed_in = request.state.signed_in = principal.signed_in
    if policy in _BY_KEY:
        if policy == "inference" and policy not in caller.roles:
            raise Forbidden("this key may neither ask models nor see conversations; use one with the right `inference`")
        return caller
    if signed_in is None:
        raise Forbidden("a key does not open this; sign in with a browser")
    if signed_in.role not in _ROLES_BY_POLICY[policy]:
        raise Forbidden(f"your role here is {signed_in.role}; an administrator of this workspace can change it")
    return caller


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
    budget = BodyBudget(doors.settings.max_bodies_bytes)

    class DoorRoute(APIRoute):
        enforces_policy = True

        def __init__(self, path: str, endpoint: Endpoint, **described: Any) -> None:
            super().__init__(path, endpoint, **described)
            guarded = _guarded(endpoint, policy_of(self), _body_model(endpoint), doors, budget)

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                response = await guarded(Request(scope, receive, send))
                await response(scope, receive, send)

            # The framework's own way in resolves dependencies we do not have and wraps every chunk of a stream.
            self.app = app

    return DoorRoute


def _guarded(
    endpoint: Endpoint, policy: Policy, model: type[BaseModel] | None, doors: Doors, budget: BodyBudget
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        caller = await admit(request, policy, doors)
        workspace_id = caller.workspace_id if caller else ""
        if any("\x00" in str(value) for value in request.path_params.values()):
            raise NotFound("there is nothing of that name")  # nor can PostgreSQL be asked for it
        if model is None:
            return await endpoint(request=request, **request.path_params)
        with HeldBody(budget, workspace_id) as held:
            body = await read_body(request, model, doors.settings, held)
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
