"""Knows the session cookie: its name, its attributes, where it stands in a request. Knows nothing of what it opens.

Over https the name begins with `__Host-`, so that no other host and no plain page of this one can plant it.
"""

from http.cookies import Morsel
from urllib.parse import urlsplit

from starlette.types import Scope

from tramontane.foundation.errors import Unauthenticated
from tramontane.foundation.settings import HttpSettings

PLAIN_NAME = "tramontane_session"
SECURE_NAME = "__Host-tramontane"
LONGEST_TOKEN = 128


def is_secure(scope: Scope, settings: HttpSettings) -> bool:
    """Whether browsers reach this server by https, as far as it can know."""
    return scope.get("scheme") == "https" or urlsplit(settings.public_url).scheme == "https"


def session_token(scope: Scope, settings: HttpSettings) -> str | None:
    """The token of the request's session cookie, or None. Raises Unauthenticated for two different ones."""
    wanted = (SECURE_NAME if is_secure(scope, settings) else PLAIN_NAME).encode()
    found = set()
    for name, value in scope["headers"]:
        if name == b"cookie":
            pairs = (one.partition(b"=") for one in value.split(b";"))
            found |= {token.strip() for key, _, token in pairs if key.strip() == wanted}
    if len(found) > 1:
        raise Unauthenticated("the browser sent two sessions; sign out, delete this site's cookies and sign in again")
    token = found.pop() if found else b""
    if not token or len(token) > LONGEST_TOKEN or not token.isascii():
        return None
    return token.decode("ascii")


def session_cookie(scope: Scope, settings: HttpSettings, token: str, max_age_s: int) -> str:
    """The `set-cookie` header that gives a browser its session; an empty token takes it away."""
    secure = is_secure(scope, settings)
    cookie: Morsel[str] = Morsel()
    cookie.set(SECURE_NAME if secure else PLAIN_NAME, token, token)
    cookie.update({"path": "/", "max-age": str(max_age_s if token else 0), "samesite": "Strict", "httponly": "yes"})
    if secure:
        cookie["secure"] = "yes"
    return cookie.OutputString()
