"""Who: organisations, workspaces, people and keys, and the one function that turns a presented key into a caller."""

from tramontane.records.access.bootstrap import FirstStart, ensure_default
from tramontane.records.access.callers import Callers
from tramontane.records.access.keys import Keys
from tramontane.records.access.nouns import KeyRecord, Member, NewKey, Organisation, Person, Role, SignedIn, Workspace
from tramontane.records.access.places import Places

__all__ = [
    "Callers",
    "FirstStart",
    "KeyRecord",
    "Keys",
    "Member",
    "NewKey",
    "Organisation",
    "Person",
    "Places",
    "Role",
    "SignedIn",
    "Workspace",
    "ensure_default",
]
