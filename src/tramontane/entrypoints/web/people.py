"""`/web/people`: the people of a workspace, for its administrators."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.answers import json_response
from tramontane.entrypoints.api.policy import needs_administrator
from tramontane.entrypoints.web.answers import Fields, link, moment
from tramontane.entrypoints.web.ports import WebDoors
from tramontane.foundation.errors import NotFound
from tramontane.foundation.store.scope import Scope
from tramontane.records.access.nouns import Role
from tramontane.records.access.people import Seat


class NewRole(Fields):
    role: Role


def seat_object(seat: Seat) -> dict[str, object]:
    return {
        "id": seat.person.person_id,
        "name": seat.person.name,
        "email": seat.person.email,
        "role": seat.role,
        "joined_at": moment(seat.joined_ns),
        "seen_at": moment(seat.seen_ns),
    }


def add_routes(routes: APIRouter, web: WebDoors) -> None:
    people, sessions = web.accounts.people, web.accounts.sessions

    @routes.get("/web/people", include_in_schema=False)
    @needs_administrator
    async def list_people(request: Request) -> Response:
        seats = await web.database.run(people.seats, Scope.of(request.state.caller))
        return json_response([seat_object(seat) for seat in seats])

    @routes.patch("/web/people/{person_id}", include_in_schema=False)
    @needs_administrator
    async def change_role(request: Request, person_id: str, body: NewRole) -> Response:
        scope = Scope.of(request.state.caller)
        await web.database.run_write(people.set_role, scope, person_id, body.role)
        sessions.forget(person_id)
        for seat in await web.database.run(people.seats, scope):
            if seat.person.person_id == person_id:
                return json_response(seat_object(seat))
        raise NotFound("this person has just left the workspace", param="person_id")

    @routes.delete("/web/people/{person_id}", include_in_schema=False)
    @needs_administrator
    async def remove(request: Request, person_id: str) -> Response:
        keys = await web.database.run_write(people.remove, Scope.of(request.state.caller), person_id)
        sessions.forget(person_id)
        return json_response({"revoked_keys": keys})

    @routes.post("/web/people/{person_id}/reset", include_in_schema=False)
    @needs_administrator
    async def reset(request: Request, person_id: str) -> Response:
        scope, by = Scope.of(request.state.caller), request.state.caller.person_id
        made = await web.database.run_write(lambda: web.accounts.invitations.reset(scope, person_id, by=by))
        return json_response(link(made), 201)
