"""`/web/invitation` for whoever holds a link, `/web/invitations` for the administrators who make them."""

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from tramontane.entrypoints.api.answers import empty, json_response
from tramontane.entrypoints.api.policy import needs_administrator, visitor
from tramontane.entrypoints.web.answers import Fields, browser_name, link, moment, new_session
from tramontane.entrypoints.web.ports import WebDoors
from tramontane.foundation.store.scope import Scope
from tramontane.records.access.accounts import Wish
from tramontane.records.access.nouns import Invitation, Role


class Secret(Fields):
    secret: str = Field(max_length=200)


class Acceptance(Secret):
    name: str | None = Field(default=None, max_length=400)
    email: str | None = Field(default=None, max_length=320)
    password: str | None = Field(default=None, max_length=4096)


class NewInvitation(Fields):
    role: Role
    email: str | None = Field(default=None, max_length=320)


def invitation_object(made: Invitation) -> dict[str, object]:
    return {
        "id": made.invitation_id,
        "email": made.email,
        "role": made.role,
        "created_at": moment(made.created_ns),
        "expires_at": moment(made.expires_ns),
    }


def add_routes(routes: APIRouter, web: WebDoors) -> None:
    accounts, invitations = web.accounts, web.accounts.invitations

    @routes.post("/web/invitation/look", include_in_schema=False)
    @visitor
    async def look(request: Request, body: Secret) -> Response:
        offer = await accounts.look(body.secret)
        return json_response(
            {
                "kind": offer.invitation.kind,
                "workspace_name": offer.workspace_name,
                "organisation_name": offer.organisation_name,
                "role": offer.invitation.role,
                "email": offer.email,
                "expires_at": moment(offer.invitation.expires_ns),
            }
        )

    @routes.post("/web/invitation/accept", include_in_schema=False)
    @visitor
    async def accept(request: Request, body: Acceptance) -> Response:
        before = request.state.signed_in
        wish = Wish(secret=body.secret, name=body.name, email=body.email, password=body.password)
        token = await accounts.join(wish, before, browser_name(request))
        if before is not None:
            await accounts.sessions.leave(before)
        return await new_session(request, web, token)

    @routes.get("/web/invitations", include_in_schema=False)
    @needs_administrator
    async def list_invitations(request: Request) -> Response:
        pending = await web.database.run(invitations.pending, Scope.of(request.state.caller))
        return json_response([invitation_object(one) for one in pending])

    @routes.post("/web/invitations", include_in_schema=False)
    @needs_administrator
    async def invite(request: Request, body: NewInvitation) -> Response:
        scope, by = Scope.of(request.state.caller), request.state.caller.person_id
        made = await web.database.run_write(lambda: invitations.invite(scope, body.role, email=body.email, by=by))
        return json_response(invitation_object(made.invitation) | link(made), 201)

    @routes.delete("/web/invitations/{invitation_id}", include_in_schema=False)
    @needs_administrator
    async def revoke(request: Request, invitation_id: str) -> Response:
        await web.database.run_write(invitations.revoke, Scope.of(request.state.caller), invitation_id)
        return empty()
