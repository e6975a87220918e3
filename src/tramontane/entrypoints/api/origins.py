"""Who may be meant and who may call: the names this server answers to, and the pages a browser lets near it.

A page of another origin may reach the API alone, where a key travels in a header of each request. Whatever a browser
signs in to by itself, with a cookie, is for this server's own pages, whatever the settings say.
"""

import ipaddress

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tramontane.entrypoints.api.ports import Doors
from tramontane.foundation.errors import BadRequest, Forbidden

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
API = ("/v1/", "/openai/v1/")
ANY = "*"
EXPOSED_HEADERS = ("x-request-id", "mistral-correlation-id", "retry-after", "x-tramontane-ignored")


def allowed_hosts(doors: Doors) -> frozenset[str] | None:
    """Names this server answers to; None is any. On loopback only local names, against rebinding of DNS names."""
    if doors.settings.allowed_hosts:
        return frozenset(name.lower() for name in doors.settings.allowed_hosts) | LOCAL_NAMES
    try:
        local = ipaddress.ip_address(doors.bound_host).is_loopback
    except ValueError:
        local = doors.bound_host == "localhost"
    return LOCAL_NAMES if local else None


def host_name(value: str) -> str:
    """The name in a Host header or an origin, without port and scheme."""
    value = value.partition("://")[2] or value
    if value.startswith("["):
        return value.partition("]")[0].lower() + "]"
    return value.partition(":")[0].lower()


class Names:
    """The check of one application's Host and Origin headers."""

    def __init__(self, doors: Doors) -> None:
        self._hosts = allowed_hosts(doors)
        self._origins = frozenset(doors.settings.cors_origins)
        self._public = host_name(doors.settings.public_url) or None

    def check(self, scope: Scope) -> None:
        """Raises BadRequest without a Host; Forbidden for a name that is not ours or a page that may not call."""
        host = origin = None
        for name, value in scope["headers"]:
            if name == b"host":
                host = host_name(value.decode("latin-1"))
            elif name == b"origin":
                origin = value.decode("latin-1")
        if not host:
            raise BadRequest("the header host is missing; send the server's name")
        if self._hosts is not None and host not in self._hosts:
            raise Forbidden(f"this server does not answer to that name; add it to http.allowed_hosts: {host[:100]}")
        # A proxy may ask for another name than the one people were given.
        if origin and host_name(origin) not in (host, self._public):
            self._check_foreign(origin, scope["path"])

    def _check_foreign(self, origin: str, path: str) -> None:
        if not path.startswith(API):
            raise Forbidden("pages of another origin may call the API under /v1 and /openai/v1, and nothing else here")
        if ANY not in self._origins and origin not in self._origins:
            raise Forbidden("pages of that origin may not call this server; add it to http.cors_origins")


class SharedApi:
    """Tells browsers that pages of the allowed origins may read the API's answers; cookies are never sent along."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        # Any header: official clients send a dozen of their own, and none of them opens anything.
        self._shared = CORSMiddleware(
            app, allow_origins=origins, allow_methods=("GET", "POST"), allow_headers=("*",),
            allow_credentials=False, expose_headers=EXPOSED_HEADERS,
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._shared if scope["path"].startswith(API) else self._app
        await app(scope, receive, send)
