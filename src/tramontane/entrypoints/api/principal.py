"""Knows where a request carries its key, and nothing of what the key may do. The only reader of credential headers."""

from collections.abc import Awaitable, Callable

from starlette.types import Scope

from tramontane.foundation.errors import Unauthenticated
from tramontane.foundation.nouns import Caller

LONGEST_SECRET = 512
MISSING = "send your key in the header `Authorization: Bearer <key>`"


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


async def caller_of(scope: Scope, authenticate: Callable[[str], Awaitable[Caller]]) -> Caller:
    """Whose request this is."""
    return await authenticate(secret_of(scope))
