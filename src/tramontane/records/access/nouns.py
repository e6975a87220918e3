"""The words of who: organisations, their workspaces and people, and the keys that programs carry. All frozen, no SQL.

Times are nanoseconds since the epoch; None means never.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from tramontane.foundation.nouns import Caller
from tramontane.foundation.store.scope import Scope

Role = Literal["administrator", "builder", "member"]
ROLES: tuple[Role, ...] = ("administrator", "builder", "member")
InvitationKind = Literal["first_administrator", "invitation", "password_reset"]
Language = Literal["en", "fr"]
Theme = Literal["light", "dark"]
Right = Literal["inference", "usage", "admin"]
RIGHTS: tuple[Right, ...] = ("inference", "usage", "admin")


class Organisation(msgspec.Struct, frozen=True, kw_only=True):
    organisation_id: str
    name: str
    created_ns: int


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """Where work happens; `weight` is its part when the machine is short."""

    organisation_id: str
    workspace_id: str
    name: str
    weight: int
    created_ns: int

    @property
    def scope(self) -> Scope:
        return Scope(self.organisation_id, self.workspace_id)


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Someone of the organisation. `language` and `theme` None leave the choice to the browser."""

    organisation_id: str
    person_id: str
    name: str
    email: str | None
    created_ns: int
    language: Language | None = None
    theme: Theme | None = None


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A person's place in one workspace."""

    person: Person
    role: Role


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link, without its secret. `expires_ns` None: until it is used or replaced.

    `person_id` only for a password's reset; `email` binds an invitation to one address.
    """

    organisation_id: str
    workspace_id: str
    invitation_id: str
    kind: InvitationKind
    role: Role
    email: str | None
    person_id: str | None
    created_by: str | None
    created_ns: int
    expires_ns: int | None

    @property
    def scope(self) -> Scope:
        return Scope(self.organisation_id, self.workspace_id)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One browser a person is signed in with; `agent` is what it calls itself."""

    session_id: str
    created_ns: int
    seen_ns: int
    agent: str


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who a session's token speaks for, and where. `csrf` is what the page's own script must repeat with every change."""

    caller: Caller
    session_id: str
    csrf: str
    person: Person
    workspace: Workspace
    role: Role


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a key is asked to be; limits None are the installation's defaults. How much of the machine is the workspace's.

    `models` None: every model of the workspace; else only these, by name or by an alias.
    """

    name: str
    rights: frozenset[Right] = frozenset({"inference"})
    models: frozenset[str] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    expires_ns: int | None = None


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A service key as it may be shown: all but its secret, which nobody keeps. `created_by` None: from the terminal."""

    organisation_id: str
    workspace_id: str
    key_id: str
    name: str
    rights: frozenset[Right]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    created_ns: int
    expires_ns: int | None
    revoked_ns: int | None
    last_used_ns: int | None
    created_by: str | None = None
    models: frozenset[str] | None = None

    @property
    def shown(self) -> str:
        """How the key is recognised in lists."""
        return f"tm_{self.key_id}_..."

    def live(self, now_ns: int) -> bool:
        """Neither revoked nor past its end."""
        return self.revoked_ns is None and (self.expires_ns is None or now_ns < self.expires_ns)


def sorted_rights(rights: Iterable[Right]) -> str:
    """How rights are stored: known ones, in a fixed order, separated by a space."""
    return " ".join(right for right in RIGHTS if right in set(rights))


def roles_of(role: Role) -> frozenset[str]:
    """What a signed-in person of that role may do, in the words that callers carry: rights, and the role's own name."""
    rights = {"inference", "usage", role}
    return frozenset(rights | {"admin"} if role == "administrator" else rights)
