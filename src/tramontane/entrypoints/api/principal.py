"""Who sends a request: a program by the key in a header, or a person by the session in a cookie. Never both.

The only reader of credentials. What the sender may do is the policies' matter, and no policy looks at a header.
"""

from dataclasses import dataclass

from starlette.types import Scope

from tramontane.entrypoints.api.cookie import session_token
from tramontane.entrypoints.api.csrf import SAFE_METHODS, check_same_origin, check_token
from tramontane.entrypoints.api.ports import Doors
from tramontane.foundation.errors import Forbidden, Unauthenticated
from tramontane.foundation.nouns import Caller
from tramontane.records.access.nouns import SignedIn

LONGEST_SECRET = 512
MISSING = "send your key in the header `Authorization: Bearer <key>`"
BOTH = "send a key or a session's cookie, not both"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose request it is; `signed_in` only for a person in a browser."""

    caller: Caller
    signed_in: SignedIn | None = None


def secret_of(scope: Scope) -> str:
    """The key of a request, from `Authorization: Bearer` or `x-api-key`. Raises Unauthenticated.

    Two different keys in one request are refused: a proxy and the server behind it must not see two people.
    """
    secrets = set()
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, secret = value.partition(b" ")
            if scheme.lower() != b"bearer":
                raise Unauthenticated(MISSING)
            secrets.add(secret.strip())
        elif name == b"x-api-key":
            secrets.add(value.strip())
    if len(secrets) != 1:
        raise Unauthenticated("send one key, not several" if secrets else MISSING)
    secret = secrets.pop()
    if not secret or len(secret) > LONGEST_SECRET or not secret.isascii():
        raise Unauthenticated(MISSING)
    return secret.decode("ascii")


def carries_key(scope: Scope) -> bool:
    """Whether any header that may hold a key is there, whatever stands in it."""
    return any(name in (b"authorization", b"x-api-key") for name, _ in scope["headers"])


async def principal_of(scope: Scope, doors: Doors) -> Principal:
    """Whose request this is. Raises Unauthenticated, and Forbidden for a change that our own page did not ask for."""
    token = None if doors.sessions is None else session_token(scope, doors.settings)
    if token is None or doors.sessions is None:
        return Principal(await doors.authenticate(secret_of(scope)))
    if carries_key(scope):
        raise Unauthenticated(BOTH)
    signed_in = await doors.sessions(token)
    if scope["method"] not in SAFE_METHODS:
        check_same_origin(scope, doors.settings)
        check_token(scope, signed_in.csrf)
    return Principal(signed_in.caller, signed_in)


async def visitor_of(scope: Scope, doors: Doors) -> SignedIn | None:
    """The person who is signed in, if one is: for pages that also open without. Raises Forbidden for a stranger's page.

    A change whose token is missing or wrong comes from nobody: it may still be a visitor's.
    """
    changes = scope["method"] not in SAFE_METHODS
    if changes:
        check_same_origin(scope, doors.settings)
    token = None if doors.sessions is None else session_token(scope, doors.settings)
    if token is None or doors.sessions is None:
        return None
    if carries_key(scope):
        raise Unauthenticated(BOTH)
    try:
        signed_in = await doors.sessions(token)
        if changes:
            check_token(scope, signed_in.csrf)
    except (Unauthenticated, Forbidden):
        return None
    return signed_in
