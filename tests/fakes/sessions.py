"""People who are signed in, without a database: tokens known from the start, one per role and one of a stranger.

`fake_doors(sessions=sessions)` accepts them; `browser(TOKEN)` gives the headers of our own page.
"""

from tramontane.entrypoints.api.cookie import PLAIN_NAME
from tramontane.foundation.errors import Unauthenticated
from tramontane.foundation.nouns import Caller
from tramontane.records.access.nouns import Person, Role, SignedIn, Workspace, roles_of

ADMINISTRATOR = "token-of-ada"
BUILDER = "token-of-bob"
MEMBER = "token-of-mia"
STRANGER = "token-of-eve"  # an administrator of another workspace


def _signed_in(token: str, role: Role, workspace_id: str) -> SignedIn:
    name = token.removeprefix("token-of-")
    caller = Caller(
        organisation_id="org",
        workspace_id=workspace_id,
        principal_id=f"usr_{name}",
        person_id=f"usr_{name}",
        roles=roles_of(role),
    )
    person = Person(
        organisation_id="org", person_id=f"usr_{name}", name=name.title(), email=f"{name}@example.org", created_ns=1
    )
    workspace = Workspace(organisation_id="org", workspace_id=workspace_id, name=workspace_id, weight=1, created_ns=1)
    return SignedIn(
        caller=caller,
        session_id=f"ses_{name}",
        csrf=f"csrf-of-{name}",
        person=person,
        workspace=workspace,
        role=role,
    )


PEOPLE = {
    ADMINISTRATOR: _signed_in(ADMINISTRATOR, "administrator", "ws_one"),
    BUILDER: _signed_in(BUILDER, "builder", "ws_one"),
    MEMBER: _signed_in(MEMBER, "member", "ws_one"),
    STRANGER: _signed_in(STRANGER, "administrator", "ws_two"),
}


async def sessions(token: str) -> SignedIn:
    if token not in PEOPLE:
        raise Unauthenticated("sign in first")
    return PEOPLE[token]


def browser(token: str, csrf: str | None = None) -> dict[str, str]:
    """The headers our own page sends with a change; `csrf` in place of the right one."""
    return {
        "cookie": f"{PLAIN_NAME}={token}",
        "x-tramontane-csrf": PEOPLE[token].csrf if csrf is None else csrf,
        "sec-fetch-site": "same-origin",
    }
