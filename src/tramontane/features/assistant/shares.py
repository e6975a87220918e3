"""Read-only looks at a conversation for everybody of the organisation: the path up to the moment it was shared.

What is written later stays the owner's own. Revoking ends the look at once, and so does the owner's leaving of the
workspace, for good: who comes back shares anew.
"""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, insert, select

from tramontane.features.assistant import store
from tramontane.features.assistant.nouns import Entry, Owner
from tramontane.features.assistant.tables import share
from tramontane.foundation.errors import Conflict, NotFound
from tramontane.foundation.ids import new_id
from tramontane.records.access.standing import name_of, still_there

NO_SHARE = "there is no shared conversation of that id, or it is no longer shared"


class Share(msgspec.Struct, frozen=True):
    share_id: str
    conversation_id: str
    owner_name: str
    name: str
    head_entry_id: str
    created_ns: int


_COLUMNS = [share.c[name] for name in Share.__struct_fields__]


def add(connection: Connection, owner: Owner, conversation_id: str, now_ns: int) -> Share:
    """Raises NotFound; Conflict for a conversation without an entry."""
    one = store.one(connection, owner, conversation_id, lock=True)  # else a look at what is gone could stay
    if one.head_entry_id is None:
        raise Conflict("there is nothing in this conversation to share yet")
    name = one.name or one.preview or "…"
    by = name_of(connection, owner.organisation_id, owner.workspace_id, owner.owner_id)
    made = Share(new_id("share"), conversation_id, by, name, one.head_entry_id, now_ns)
    connection.execute(insert(share), {**msgspec.structs.asdict(owner), **msgspec.structs.asdict(made)})
    return made


def listed(connection: Connection, owner: Owner, conversation_id: str) -> list[Share]:
    """The looks at one conversation. Raises NotFound."""
    store.one(connection, owner, conversation_id)
    where = (*store.inside(share, owner), share.c.conversation_id == conversation_id, _stands())
    query = select(*_COLUMNS).where(*where).order_by(share.c.created_ns.desc())
    return [Share(**row._asdict()) for row in connection.execute(query)]


def remove(connection: Connection, owner: Owner, share_id: str) -> None:
    """Raises NotFound for what is not this owner's."""
    where = (*store.inside(share, owner), share.c.owner_id == owner.owner_id, share.c.share_id == share_id)
    if not connection.execute(delete(share).where(*where)).rowcount:
        raise NotFound(NO_SHARE)


def look(connection: Connection, reader: Owner, share_id: str) -> tuple[Share, list[Entry]]:
    """What is shared, for anybody of the same organisation. Raises NotFound."""
    where = (share.c.organisation_id == reader.organisation_id, share.c.share_id == share_id, _stands())
    row = connection.execute(select(*_COLUMNS, share.c.workspace_id, share.c.owner_id).where(*where)).one_or_none()
    if row is None:
        raise NotFound(NO_SHARE)
    fields: dict[str, Any] = row._asdict()
    owner = Owner(reader.organisation_id, fields.pop("workspace_id"), fields.pop("owner_id"))
    found = Share(**fields)
    return found, store.path(connection, owner, found.conversation_id, found.head_entry_id)


def _stands() -> ColumnElement[bool]:
    """Asked with every look, so that no way out of a workspace can forget it."""
    columns = share.c
    return still_there(columns.organisation_id, columns.workspace_id, columns.owner_id, columns.created_ns)
