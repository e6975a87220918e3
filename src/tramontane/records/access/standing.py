"""Who made something, and whether they may still stand for it: a condition that other records' questions carry along.

Knows people, memberships and keys; the columns it is asked about are the asker's.
"""

from sqlalchemy import ColumnElement, Connection, exists, or_, select

from tramontane.records.access.store import membership, person, service_key


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


def name_of(connection: Connection, organisation_id: str, workspace_id: str, principal_id: str) -> str:
    """The person's name, else that of the key of this workspace."""
    of_person = select(person.c.name).where(
        person.c.organisation_id == organisation_id, person.c.person_id == principal_id
    )
    of_key = select(service_key.c.name).where(
        service_key.c.organisation_id == organisation_id,
        service_key.c.workspace_id == workspace_id,
        service_key.c.key_id == principal_id,
    )
    found = (connection.execute(query).scalar_one_or_none() for query in (of_person, of_key))
    return next((name for name in found if name is not None), "")
