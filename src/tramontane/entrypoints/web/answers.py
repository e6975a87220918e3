"""How `/web` answers: times as ISO 8601 in UTC, the session object and its cookie."""

import ipaddress
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

import tramontane
from tramontane.entrypoints.api.answers import json_response
from tramontane.entrypoints.api.cookie import session_cookie
from tramontane.entrypoints.web.ports import WebDoors
from tramontane.foundation.clock import iso_time
from tramontane.foundation.settings import HttpSettings
from tramontane.records.access.invitations import NewLink
from tramontane.records.access.nouns import SignedIn


class Fields(BaseModel):
    """A body of ours: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


def moment(time_ns: int | None) -> str | None:
    """Nanoseconds since the epoch as `2026-01-31T12:00:00.123Z`; None for what has not been."""
    return None if time_ns is None else iso_time(time_ns, "milliseconds")


def link(made: NewLink) -> dict[str, Any]:
    return {"link_path": made.path, "secret": made.secret, "expires_at": moment(made.invitation.expires_ns)}


def client_address(request: Request, settings: HttpSettings) -> str:
    """Who is at the other end: of the connection, or of the connection of a proxy that is believed.

    Read from the nearest proxy outwards, so that what a client wrote itself is never reached. An IPv6 address counts as
    its network, of which one client has all.
    """
    address = _address(request.client.host if request.client else "")
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for hop in reversed(hops):
        named = _address(hop)
        if address is None or named is None or not any(address in one for one in settings.trusted_proxies):
            break
        address = named
    if address is None:
        return ""
    return str(ipaddress.ip_network((address, 64), strict=False) if address.version == 6 else address)


def _address(written: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(written.strip())
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def browser_name(request: Request) -> str:
    return request.headers.get("user-agent", "")


def give_session(request: Request, web: WebDoors, response: Response, token: str) -> Response:
    """Hand the browser its session; an empty token takes it away."""
    cookie = session_cookie(request.scope, web.settings, token, web.accounts.sessions.longest_s)
    response.headers.append("set-cookie", cookie)
    return response


async def session_object(web: WebDoors, signed_in: SignedIn | None) -> dict[str, Any]:
    """What the client's first question is answered with."""
    if signed_in is None:
        first_start = await web.accounts.first_start()
        return {"signed_in": False, "first_start": first_start, "version": tramontane.__version__}
    person, here = signed_in.person, signed_in.workspace
    places = await web.database.run(web.accounts.people.places, person)
    return {
        "signed_in": True,
        "csrf": signed_in.csrf,
        "version": tramontane.__version__,
        "default_model": web.default_model,
        "person": {
            "id": person.person_id, "name": person.name, "email": person.email,
            "language": person.language, "theme": person.theme,
        },
        "workspace": {"id": here.workspace_id, "name": here.name, "role": signed_in.role},
        "workspaces": [{"id": place.workspace_id, "name": place.name, "role": role} for place, role in places],
    }  # fmt: skip


async def new_session(request: Request, web: WebDoors, token: str) -> Response:
    """The session object of a session just begun, with its cookie."""
    signed_in = await web.accounts.sessions.signed_in(token)
    return give_session(request, web, json_response(await session_object(web, signed_in)), token)
