"""Whose rows and files: one workspace of one organisation. Nothing is looked up, stored or counted without it."""

import msgspec

from tramontane.foundation.nouns import Caller


class Scope(msgspec.Struct, frozen=True):
    """One workspace, named together with its organisation so that a key of one table fits no other tenant's row."""

    organisation_id: str
    workspace_id: str

    @classmethod
    def of(cls, caller: Caller) -> "Scope":
        """The workspace the caller acts in."""
        return cls(caller.organisation_id, caller.workspace_id)
