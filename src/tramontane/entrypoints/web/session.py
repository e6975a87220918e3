"""`/web/session`, `/web/sign-in`, `/web/sign-out`: who is at this browser, and since when at which others."""

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from tramontane.entrypoints.api.answers import empty, json_response
from tramontane.entrypoints.api.cookie import session_token
from tramontane.entrypoints.api.policy import needs_person, visitor
from tramontane.entrypoints.web.answers import (
    Fields,
    browser_name,
    client_address,
    give_session,
    moment,
    new_session,
    session_object,
)
from tramontane.entrypoints.web.ports import WebDoors
from tramontane.records.access.nouns import Session


class SignIn(Fields):
    email: str = Field(max_length=320)
    password: str = Field(max_length=4096)


class Move(Fields):
    workspace_id: str = Field(pattern=r"^[\w-]{1,100}$")


def browser_object(one: Session, current: bool) -> dict[str, object]:
    return {
        "id": one.session_id,
        "created_at": moment(one.created_ns),
        "seen_at": moment(one.seen_ns),
        "agent": one.agent,
        "current": current,
    }


def add_routes(routes: APIRouter, web: WebDoors) -> None:
    sessions = web.accounts.sessions

    @routes.get("/web/session", include_in_schema=False)
    @visitor
    async def look(request: Request) -> Response:
        signed_in = request.state.signed_in
        token = session_token(request.scope, web.settings)
        if signed_in is None and token is not None:
            signed_in = await sessions.recover(token)
        response = json_response(await session_object(web, signed_in))
        return response if signed_in or token is None else give_session(request, web, response, "")

    @routes.post("/web/sign-in", include_in_schema=False)
    @visitor
    async def sign_in(request: Request, body: SignIn) -> Response:
        token = await web.accounts.sign_in(
            body.email, body.password, client_address(request, web.settings), browser_name(request)
        )
        before = request.state.signed_in
        if before is not None:
            await sessions.leave(before)
        return await new_session(request, web, token)

    @routes.post("/web/sign-out", include_in_schema=False)
    @needs_person
    async def sign_out(request: Request) -> Response:
        await sessions.leave(request.state.signed_in)
        return give_session(request, web, empty(), "")

    @routes.post("/web/sign-out-everywhere", include_in_schema=False)
    @needs_person
    async def sign_out_everywhere(request: Request) -> Response:
        await sessions.end_all(request.state.signed_in.person)
        return give_session(request, web, empty(), "")

    @routes.get("/web/sessions", include_in_schema=False)
    @needs_person
    async def list_sessions(request: Request) -> Response:
        signed_in = request.state.signed_in
        found = await sessions.listed(signed_in.person)
        return json_response([browser_object(one, one.session_id == signed_in.session_id) for one in found])

    @routes.delete("/web/sessions/{session_id}", include_in_schema=False)
    @needs_person
    async def end_session(request: Request, session_id: str) -> Response:
        signed_in = request.state.signed_in
        await sessions.end(signed_in.person, session_id)
        done = empty()
        return give_session(request, web, done, "") if session_id == signed_in.session_id else done

    @routes.post("/web/workspace", include_in_schema=False)
    @needs_person
    async def switch(request: Request, body: Move) -> Response:
        await sessions.switch(request.state.signed_in, body.workspace_id)
        token = session_token(request.scope, web.settings) or ""
        return json_response(await session_object(web, await sessions.signed_in(token)))
