"""`/web/person`, `/web/password`, `/web/workspaces`: what the person who is signed in changes of their own."""

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from tramontane.entrypoints.api.answers import empty, json_response
from tramontane.entrypoints.api.cookie import session_token
from tramontane.entrypoints.api.policy import needs_administrator, needs_person
from tramontane.entrypoints.web.answers import Fields, client_address, session_object
from tramontane.entrypoints.web.ports import WebDoors
from tramontane.records.access.nouns import Language, Theme


class Change(Fields):
    """Absent fields stay as they are; null gives language and theme back to the browser."""

    name: str = Field(default="", max_length=400)
    language: Language | None = None
    theme: Theme | None = None


class NewPassword(Fields):
    current: str = Field(max_length=4096)
    new: str = Field(max_length=4096)


class NewWorkspace(Fields):
    name: str = Field(max_length=400)


def add_routes(routes: APIRouter, web: WebDoors) -> None:
    accounts = web.accounts

    @routes.patch("/web/person", include_in_schema=False)
    @needs_person
    async def change(request: Request, body: Change) -> Response:
        person = request.state.signed_in.person
        await web.database.run_write(accounts.people.change, person, body.model_dump(exclude_unset=True))
        accounts.sessions.forget(person.person_id)
        token = session_token(request.scope, web.settings) or ""
        return json_response(await session_object(web, await accounts.sessions.signed_in(token)))

    @routes.post("/web/password", include_in_schema=False)
    @needs_person
    async def change_password(request: Request, body: NewPassword) -> Response:
        address = client_address(request, web.settings)
        await accounts.change_password(request.state.signed_in, body.current, body.new, address)
        return empty()

    @routes.post("/web/workspaces", include_in_schema=False)
    @needs_administrator
    async def make_workspace(request: Request, body: NewWorkspace) -> Response:
        person = request.state.signed_in.person
        made = await web.database.run_write(accounts.people.make_workspace, person, body.name)
        return json_response({"id": made.workspace_id, "name": made.name, "role": "administrator"}, 201)
