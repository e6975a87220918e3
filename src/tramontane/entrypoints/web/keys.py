"""`/web/keys`: the keys of a workspace. Builders see, prolong and end their own, administrators all.

A key made here acts as the person who made it, so nobody can give one more rights than they have themselves.
"""

import datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from tramontane.entrypoints.api.answers import empty, json_response
from tramontane.entrypoints.api.policy import needs_builder
from tramontane.entrypoints.web.answers import Fields, moment
from tramontane.entrypoints.web.ports import WebDoors
from tramontane.foundation.errors import Forbidden, InvalidFields, NotFound
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import Keys
from tramontane.records.access.nouns import KeyRecord, NewKey, Right, SignedIn

LATEST = datetime.datetime(2200, 1, 1, tzinfo=datetime.UTC)


class WantedKey(Fields):
    name: str = Field(max_length=400)
    rights: list[Right] = Field(default=["inference"], max_length=10)
    models: list[str] | None = Field(default=None, max_length=50)
    expires_at: AwareDatetime | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def as_new(self) -> NewKey:
        """Raises InvalidFields for an end that no clock reaches."""
        return NewKey(
            name=self.name,
            rights=frozenset(self.rights),
            models=None if self.models is None else frozenset(self.models),
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            expires_ns=_nanoseconds(self.expires_at),
        )


class WantedEnd(Fields):
    """`expires_at` null: never."""

    expires_at: AwareDatetime | None


def _nanoseconds(moment: datetime.datetime | None) -> int | None:
    if moment is None:
        return None
    if moment > LATEST:
        raise InvalidFields.of("expires_at", "expires_at takes a time before the year 2200, or null for never")
    return int(moment.timestamp()) * 1_000_000_000


def key_object(key: KeyRecord, names: dict[str, str]) -> dict[str, Any]:
    """A key without its secret; `names` are those of the workspace's people."""
    return {
        "id": key.key_id,
        "name": key.name,
        "shown": key.shown,
        "rights": sorted(key.rights),
        "models": None if key.models is None else sorted(key.models),
        "created_at": moment(key.created_ns),
        "expires_at": moment(key.expires_ns),
        "revoked_at": moment(key.revoked_ns),
        "last_used_at": moment(key.last_used_ns),
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "created_by": names.get(key.created_by or ""),
        "created_by_id": key.created_by,
    }


def names_of(web: WebDoors, scope: Scope) -> dict[str, str]:
    """The people of a workspace by id. Blocking."""
    return {seat.person.person_id: seat.person.name for seat in web.accounts.people.seats(scope)}


def add_routes(routes: APIRouter, web: WebDoors) -> None:
    keys = Keys(web.database, web.clock)

    def seen_by(signed_in: SignedIn) -> list[KeyRecord]:
        all_keys = keys.list(Scope.of(signed_in.caller))
        return [key for key in all_keys if may_see(signed_in, key)]

    def listed(signed_in: SignedIn) -> list[dict[str, Any]]:
        names = names_of(web, Scope.of(signed_in.caller))
        return [key_object(key, names) for key in reversed(seen_by(signed_in))]

    def require_seen(signed_in: SignedIn, key_id: str) -> Scope:
        if key_id not in {key.key_id for key in seen_by(signed_in)}:
            raise NotFound(f"no key {key_id[:100]!r} in this workspace", param="key_id")
        return Scope.of(signed_in.caller)

    def revoke(signed_in: SignedIn, key_id: str) -> None:
        keys.revoke(require_seen(signed_in, key_id), key_id)

    def expire(signed_in: SignedIn, key_id: str, expires_ns: int | None) -> dict[str, Any]:
        scope = require_seen(signed_in, key_id)
        return key_object(keys.expire(scope, key_id, expires_ns), names_of(web, scope))

    @routes.get("/web/keys", include_in_schema=False)
    @needs_builder
    async def list_keys(request: Request) -> Response:
        return json_response(await web.database.run(listed, request.state.signed_in))

    @routes.post("/web/keys", include_in_schema=False)
    @needs_builder
    async def create_key(request: Request, body: WantedKey) -> Response:
        signed_in: SignedIn = request.state.signed_in
        beyond = sorted(set(body.rights) - signed_in.caller.roles)
        if beyond:
            raise Forbidden(
                f"you do not have the right {', '.join(beyond)} yourself; an administrator can make the key"
            )
        scope, wanted, by = Scope.of(signed_in.caller), body.as_new(), signed_in.person.person_id
        made, secret = await web.database.run_write(lambda: keys.create(scope, wanted, created_by=by))
        return json_response(key_object(made, {by: signed_in.person.name}) | {"secret": secret}, 201)

    @routes.patch("/web/keys/{key_id}", include_in_schema=False)
    @needs_builder
    async def change_end(request: Request, key_id: str, body: WantedEnd) -> Response:
        expires_ns = _nanoseconds(body.expires_at)
        changed = await web.database.run_write(expire, request.state.signed_in, key_id, expires_ns)
        web.forget_key(key_id)
        return json_response(changed)

    @routes.delete("/web/keys/{key_id}", include_in_schema=False)
    @needs_builder
    async def end_key(request: Request, key_id: str) -> Response:
        await web.database.run_write(revoke, request.state.signed_in, key_id)
        web.forget_key(key_id)
        return empty()


def may_see(signed_in: SignedIn, key: KeyRecord) -> bool:
    """Administrators every key of the workspace, others those they made."""
    return signed_in.role == "administrator" or key.created_by == signed_in.person.person_id
