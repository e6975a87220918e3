"""Who: organisations, workspaces, people and keys, and what turns a presented key or a browser's session into a caller."""

from tramontane.records.access.accounts import Accounts
from tramontane.records.access.bootstrap import FirstStart, ensure_default
from tramontane.records.access.callers import Callers
from tramontane.records.access.invitations import Invitations
from tramontane.records.access.keys import Keys
from tramontane.records.access.nouns import (
    KeyRecord,
    Member,
    NewKey,
    Organisation,
    Person,
    Role,
    SignedIn,
    Workspace,
)
from tramontane.records.access.people import People
from tramontane.records.access.places import Places
from tramontane.records.access.sessions import Sessions

__all__ = [
    "Accounts",
    "Callers",
    "FirstStart",
    "Invitations",
    "KeyRecord",
    "Keys",
    "Member",
    "NewKey",
    "Organisation",
    "People",
    "Person",
    "Places",
    "Role",
    "Sessions",
    "SignedIn",
    "Workspace",
    "ensure_default",
]
