"""Knows whether a change was asked for by our own page or by a stranger's that the browser sent the cookie along with.

Three signs, each alone enough to refuse: where the browser says the page is from, the page's origin, and a token that
only our own page can read. Pure functions of headers.
"""

import hmac
from urllib.parse import urlsplit

from starlette.types import Scope

from tramontane.foundation.errors import Forbidden
from tramontane.foundation.settings import HttpSettings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
TOKEN_HEADER = b"x-tramontane-csrf"
DEFAULT_PORTS = {"http": 80, "https": 443}


def check_token(scope: Scope, expected: str) -> None:
    """Raises Forbidden unless the one token in the headers is the session's."""
    tokens = _values(scope, TOKEN_HEADER)
    if len(tokens) != 1 or not hmac.compare_digest(tokens[0], expected.encode()):
        raise _refusal("the header x-tramontane-csrf is not this session's; read it anew at GET /web/session")


def check_same_origin(scope: Scope, settings: HttpSettings) -> None:
    """Raises Forbidden when the browser says that another site's page is asking."""
    if any(site != b"same-origin" for site in _values(scope, b"sec-fetch-site")):
        raise _refusal("pages of other sites may not do this; open Tramontane itself")
    hosts = [value.decode("latin-1") for value in _values(scope, b"host")]
    ours = {_place(f"{scope['scheme']}://{host}") for host in hosts} | {_place(settings.public_url)}
    for value in _values(scope, b"origin"):
        asked = _place(value.decode("latin-1"))
        if asked is None or asked not in ours:
            raise _refusal("pages of that origin may not do this; if it is this server's own, set http.public_url")


def _place(address: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an http address; None for anything else, such as the origin `null`."""
    try:
        parts = urlsplit(address)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
            return None
        return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError:
        return None


def _values(scope: Scope, wanted: bytes) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == wanted]


def _refusal(message: str) -> Forbidden:
    return Forbidden(message, code="csrf")
