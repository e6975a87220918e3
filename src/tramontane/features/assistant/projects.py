"""Projects and shortcuts: texts of one owner's own, looked up, made, changed and deleted alike.

A project's instructions precede those of its conversations; deleting it keeps them. A shortcut is a text to begin with.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from tramontane.features.assistant import quota, statements, store
from tramontane.features.assistant.nouns import Owner
from tramontane.features.assistant.tables import conversation, project, shortcut
from tramontane.foundation.errors import Conflict, NotFound
from tramontane.foundation.ids import new_id

Kept = Literal["project", "shortcut"]
MOST = 1000
_TABLES: dict[Kept, Table] = {"project": project, "shortcut": shortcut}
_PREFIXES: dict[Kept, str] = {"project": "proj", "shortcut": "cut"}


def listed(connection: Connection, owner: Owner, kind: Kept) -> list[dict[str, Any]]:
    """All of this owner's, by name."""
    table = _TABLES[kind]
    query = select(table).where(*_mine(table, owner)).order_by(table.c.name, table.c.created_ns).limit(MOST)
    return [row._asdict() for row in connection.execute(query)]


def add(connection: Connection, owner: Owner, kind: Kept, values: Mapping[str, str], now_ns: int) -> dict[str, Any]:
    """Raises Conflict when there are too many, or for a shortcut whose name is taken."""
    table, key = _TABLES[kind], f"{kind}_id"
    if len(listed(connection, owner, kind)) >= MOST:
        raise Conflict(f"there are {MOST} of them already; delete one first")
    row = {
        "organisation_id": owner.organisation_id, "workspace_id": owner.workspace_id, "owner_id": owner.owner_id,
        key: new_id(_PREFIXES[kind]), "created_ns": now_ns, "updated_ns": now_ns, **values,
    }  # fmt: skip
    try:
        connection.execute(insert(table), row)
    except IntegrityError:
        raise _taken() from None
    quota.count(connection, owner, quota.weight(table, [row]))
    return row


def change(
    connection: Connection, owner: Owner, kind: Kept, kept_id: str, values: Mapping[str, str], now_ns: int
) -> dict[str, Any]:
    """Raises NotFound; Conflict for a shortcut whose new name is taken."""
    table = _TABLES[kind]
    place = _place(kind, owner, kept_id)
    before = quota.weighed(connection, table, place)
    try:
        statements.change(connection, table, place, {**values, "updated_ns": now_ns})
    except IntegrityError:
        raise _taken() from None
    row = connection.execute(select(table).where(*_mine(table, owner), table.c[f"{kind}_id"] == kept_id)).one_or_none()
    if row is None:
        raise _unknown(kind)
    found = row._asdict()
    quota.count(connection, owner, quota.weight(table, [found]) - before)
    return found


def remove(connection: Connection, owner: Owner, kind: Kept, kept_id: str) -> None:
    """Raises NotFound. A project's conversations stay, outside of any project."""
    table, place = _TABLES[kind], _place(kind, owner, kept_id)
    if statements.look(connection, table, (f"{kind}_id",), place).first() is None:
        raise _unknown(kind)
    size_bytes = quota.removed(connection, table, place)
    if kind == "project":
        left = update(conversation).where(*_mine(conversation, owner), conversation.c.project_id == kept_id)
        connection.execute(left.values(project_id=None))
    quota.count(connection, owner, -size_bytes)


def _place(kind: Kept, owner: Owner, kept_id: str) -> dict[str, str]:
    return {**msgspec.structs.asdict(owner), f"{kind}_id": kept_id}


def _mine(table: Table, owner: Owner) -> tuple[Any, ...]:
    return (*store.inside(table, owner), table.c.owner_id == owner.owner_id)


def _taken() -> Conflict:
    return Conflict("that name is taken; choose another", code="name_taken")


def _unknown(kind: Kept) -> NotFound:
    return NotFound(f"there is no {kind} of that id")
