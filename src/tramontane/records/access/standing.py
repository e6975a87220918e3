"""Whether whoever made something may still stand for it: a condition that other records' questions carry along.

Knows people and memberships; the columns it is asked about are the asker's.
"""

from sqlalchemy import ColumnElement, exists, or_

from tramontane.records.access.store import membership, person


def still_there(
    organisation_id: ColumnElement[str],
    workspace_id: ColumnElement[str],
    principal_id: ColumnElement[str],
    since_ns: ColumnElement[int],
) -> ColumnElement[bool]:
    """Of people: a member of the workspace ever since. Of keys, which are no people: always."""
    of_person = (person.c.organisation_id == organisation_id, person.c.person_id == principal_id)
    stayed = (
        membership.c.organisation_id == organisation_id,
        membership.c.workspace_id == workspace_id,
        membership.c.person_id == principal_id,
        membership.c.created_ns <= since_ns,
    )
    return or_(~exists().where(*of_person), exists().where(*stayed))
