"""The SQL of conversations and their entries. Every statement is bound to a workspace and, where a caller asks, to its owner.

Called inside a transaction by the verbs of this room; decides nothing. The search index and the count of what the owner keeps
go along with every row that is written here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, bindparam, case, func, insert, literal, null, select, update

from tramontane.features.assistant import index, quota, statements
from tramontane.features.assistant.nouns import Conversation, Entry, Owner
from tramontane.features.assistant.tables import conversation, document, document_version, entry, share
from tramontane.foundation.errors import NotFound

_encode = msgspec.json.encode
_decode = msgspec.json.decode
_CONVERSATION_KEY = ("organisation_id", "workspace_id", "conversation_id")
_CONVERSATION_JSON = ("tools", "completion_args", "metadata")
_ENTRY_JSON = ("body", "usage")
_CONVERSATION_COLUMNS = [conversation.c[name] for name in Conversation.__struct_fields__]
LONGEST_LISTED = 20_000
_EMPTY = {"tools": literal("[]"), "completion_args": literal("{}")}


def _brief(column: Any) -> Any:
    """A column as lists show it: a thousand conversations may each hold long texts, which belong to the one that is opened."""
    if column.name not in ("description", "instructions", "tools", "completion_args", "metadata"):
        return column
    return case((func.length(column) > LONGEST_LISTED, _EMPTY.get(column.name, null())), else_=column).label(
        column.name
    )


_BRIEF_COLUMNS = [_brief(column) for column in _CONVERSATION_COLUMNS]
_ENTRY_COLUMNS = [entry.c[name] for name in Entry.__struct_fields__]

_OWNED_KEY = (*_CONVERSATION_KEY, "owner_id")
_ONE = select(*_CONVERSATION_COLUMNS).where(*statements.equal(conversation, _OWNED_KEY))
_ONE_LOCKED = _ONE.with_for_update()


def _path_query() -> Any:
    """Built once: a walk's statement takes longer to put together than to run."""
    here = [entry.c[name] == bindparam(name) for name in _CONVERSATION_KEY]
    first = select(entry.c.entry_id, entry.c.parent_id, literal(0).label("depth")).where(
        *here, entry.c.entry_id == bindparam("entry_id")
    )
    walk = first.cte("walk", recursive=True)
    above = select(entry.c.entry_id, entry.c.parent_id, walk.c.depth + 1)
    walk = walk.union_all(above.where(*here, entry.c.entry_id == walk.c.parent_id))
    found = select(*_ENTRY_COLUMNS).join(walk, walk.c.entry_id == entry.c.entry_id)
    return found.where(*here).order_by(walk.c.depth.desc())


_PATH = _path_query()
_OLD = (entry.c.send_key.is_not(None), entry.c.created_ns < bindparam("since_ns"))
_FORGOTTEN = update(entry).where(*statements.equal(entry, _CONVERSATION_KEY), *_OLD).values(send_key=None)


def inside(table: Table, owner: Owner) -> tuple[Any, ...]:
    """The conditions that keep a statement in the owner's workspace."""
    return (table.c.organisation_id == owner.organisation_id, table.c.workspace_id == owner.workspace_id)


def _of(table: Table, owner: Owner, conversation_id: str) -> tuple[Any, ...]:
    return (*inside(table, owner), table.c.conversation_id == conversation_id)


def place_inside(owner: Owner) -> dict[str, Any]:
    return {"organisation_id": owner.organisation_id, "workspace_id": owner.workspace_id}


def _place(owner: Owner, conversation_id: str, **more: str) -> dict[str, Any]:
    """Where the rows of a conversation are."""
    return {**place_inside(owner), "conversation_id": conversation_id, **more}


def _owned(owner: Owner, conversation_id: str) -> dict[str, Any]:
    return _place(owner, conversation_id, owner_id=owner.owner_id)


def one(connection: Connection, owner: Owner, conversation_id: str, *, lock: bool = False) -> Conversation:
    """As `find`. Raises NotFound."""
    found = find(connection, owner, conversation_id, lock=lock)
    if found is None:
        raise NotFound("there is no conversation of that id")
    return found


def find(connection: Connection, owner: Owner, conversation_id: str, *, lock: bool = False) -> Conversation | None:
    """The conversation, if it is this owner's; locked, nobody else changes it until the transaction ends."""
    values = statements.at(_owned(owner, conversation_id))
    row = connection.execute(_ONE_LOCKED if lock else _ONE, values).one_or_none()
    return _conversation(row._asdict()) if row else None


def add(connection: Connection, owner: Owner, one: Conversation, words: str) -> None:
    values = _encoded(msgspec.structs.asdict(one), _CONVERSATION_JSON)
    row = {**values, **msgspec.structs.asdict(owner), "scope": owner.scope, "words": words}
    connection.execute(insert(conversation), row)
    index.learn(connection, conversation, [row])
    quota.count(connection, owner, quota.weight(conversation, [row]))


def change(connection: Connection, owner: Owner, conversation_id: str, values: Mapping[str, Any]) -> int:
    """Set columns of one conversation of this owner; gives 0 when there is none of that id."""
    place = _owned(owner, conversation_id)
    return _changed(connection, owner, conversation, place, _encoded(dict(values), _CONVERSATION_JSON))


def settle(
    connection: Connection, owner: Owner, conversation_id: str, opened_id: str, head_id: str, now_ns: int
) -> None:
    """An answer is over: the branch that waited for it ends in its last entry."""
    place = _owned(owner, conversation_id)
    if head_id != opened_id:
        statements.change(connection, conversation, {**place, "head_entry_id": opened_id}, {"head_entry_id": head_id})
    over = {"running_entry_id": None, "updated_ns": now_ns}
    statements.change(connection, conversation, {**place, "running_entry_id": opened_id}, over)


def name(connection: Connection, owner: Owner, conversation_id: str, name: str, words: str) -> None:
    """Give a conversation the name a model found, unless somebody named it meanwhile."""
    query = select(conversation.c.named_by).where(*_of(conversation, owner, conversation_id)).with_for_update()
    if connection.execute(query).scalar_one_or_none() == "":
        values = {"name": name, "named_by": "model", "words": words}
        _changed(connection, owner, conversation, _place(owner, conversation_id), values)


def remove(connection: Connection, owner: Owner, conversation_id: str) -> None:
    """The conversation and everything that hangs on it. Raises NotFound."""
    one(connection, owner, conversation_id, lock=True)
    place = _place(owner, conversation_id)
    for table in (entry, conversation):
        index.forget(connection, table, place)
    size_bytes = 0
    for document_id in statements.look(connection, document, ("document_id",), place).scalars().all():
        hanging = {**place_inside(owner), "document_id": document_id}
        size_bytes += quota.removed(connection, document_version, hanging)
    for table in (document, share):
        statements.remove(connection, table, place)
    for table in (entry, conversation):
        size_bytes += quota.removed(connection, table, place)
    quota.count(connection, owner, -size_bytes)


def taken_origins(connection: Connection, owner: Owner, origins: Sequence[str]) -> set[str]:
    """Which of these origins this owner's conversations have already."""
    query = select(conversation.c.origin).where(
        *inside(conversation, owner), conversation.c.owner_id == owner.owner_id, conversation.c.origin.in_(origins)
    )
    return set(connection.execute(query).scalars())


def begun_since(connection: Connection, owner: Owner, origin: str, since_ns: int) -> str | None:
    """The conversation of this owner that a sending of that name began; the name of an older one is free again."""
    place = {**msgspec.structs.asdict(owner), "origin": origin}
    found = statements.look(connection, conversation, ("conversation_id", "created_ns"), place).one_or_none()
    if found is None:
        return None
    if found.created_ns < since_ns:
        statements.change(connection, conversation, place, {"origin": None})
        return None
    return str(found.conversation_id)


def listed(
    connection: Connection, owner: Owner, filters: Mapping[str, Any], offset: int, limit: int | None
) -> Iterator[Conversation]:
    """A page of this owner's conversations, one by one: pinned first, then the latest. Very long settings are left out."""
    columns = conversation.c
    query = (
        select(*_BRIEF_COLUMNS)
        .where(*inside(conversation, owner), columns.owner_id == owner.owner_id)
        .where(*(columns[name] == value for name, value in filters.items()))
        .order_by(columns.pinned.desc(), columns.updated_ns.desc(), columns.conversation_id)
        .offset(offset)
        .limit(limit)
    )
    return (_conversation(row._asdict()) for row in connection.execute(query))


def ids(connection: Connection, owner: Owner) -> list[str]:
    """All conversations of this owner, the latest first."""
    columns = conversation.c
    query = select(columns.conversation_id).where(*inside(conversation, owner), columns.owner_id == owner.owner_id)
    return list(connection.execute(query.order_by(columns.updated_ns.desc(), columns.conversation_id)).scalars())


def add_entries(
    connection: Connection, owner: Owner, conversation_id: str, rows: Sequence[tuple[Entry, str]], send_key: str | None
) -> None:
    """Add entries with the words they are found by. `send_key` marks the last of them."""
    fixed = {**_place(owner, conversation_id), "scope": owner.scope, "send_key": None}
    values = [{**fixed, **_encoded(msgspec.structs.asdict(one), _ENTRY_JSON), "words": words} for one, words in rows]
    if values:
        values[-1]["send_key"] = send_key
        connection.execute(insert(entry), values)
        index.learn(connection, entry, values)
        quota.count(connection, owner, quota.weight(entry, values))


def change_entry(
    connection: Connection, owner: Owner, conversation_id: str, entry_id: str, values: Mapping[str, Any]
) -> int:
    place = _place(owner, conversation_id, entry_id=entry_id)
    return _changed(connection, owner, entry, place, _encoded(dict(values), _ENTRY_JSON))


def keep_running(
    connection: Connection, owner: Owner, conversation_id: str, entry_id: str, body: Mapping[str, Any]
) -> int:
    """What there is so far of an answer; 0 once it is over, for a keeping that comes late must not undo the end."""
    place = _place(owner, conversation_id, entry_id=entry_id, status="running")
    return _changed(connection, owner, entry, place, _encoded({"body": dict(body)}, _ENTRY_JSON))


def one_entry(connection: Connection, owner: Owner, conversation_id: str, entry_id: str) -> Entry | None:
    query = select(*_ENTRY_COLUMNS).where(*_of(entry, owner, conversation_id), entry.c.entry_id == entry_id)
    row = connection.execute(query).one_or_none()
    return _entry(row) if row else None


def sent_since(connection: Connection, owner: Owner, conversation_id: str, send_key: str, since_ns: int) -> bool:
    """Whether a sending of that name came to this conversation; the names of all older ones are free again."""
    place = _place(owner, conversation_id)
    connection.execute(_FORGOTTEN, {**statements.at(place), "since_ns": since_ns})
    place["send_key"] = send_key
    return statements.look(connection, entry, ("entry_id",), place).first() is not None


def path(connection: Connection, owner: Owner, conversation_id: str, entry_id: str | None) -> list[Entry]:
    """The entries from the first to this one, in order."""
    if entry_id is None:
        return []
    return [_entry(row) for row in connection.execute(_PATH, _place(owner, conversation_id, entry_id=entry_id))]


def kept_characters(connection: Connection, owner: Owner, conversation_id: str) -> int:
    """Of all its entries together, as they are kept."""
    query = select(func.coalesce(func.sum(func.length(entry.c.body)), 0)).where(*_of(entry, owner, conversation_id))
    return int(connection.execute(query).scalar_one())


def tree(connection: Connection, owner: Owner, conversation_id: str) -> list[Entry]:
    """All entries of all branches, in the order of time."""
    query = select(*_ENTRY_COLUMNS).where(*_of(entry, owner, conversation_id)).order_by(entry.c.number)
    return [_entry(row) for row in connection.execute(query)]


def _changed(
    connection: Connection, owner: Owner, table: Table, place: Mapping[str, Any], values: Mapping[str, Any]
) -> int:
    """The index follows when the words change, and the count when what is counted does."""
    found = "words" in values
    counted = not values.keys().isdisjoint(quota.COUNTED[table])
    before = quota.weighed(connection, table, place) if counted else 0
    if found:
        index.forget(connection, table, place)
    changed = statements.change(connection, table, place, values)
    if found:
        index.learn_again(connection, table, place)
    if changed and counted:
        quota.count(connection, owner, quota.weighed(connection, table, place) - before)
    return changed


def _encoded(values: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    for name in names:
        if values.get(name) is not None:
            values[name] = _encode(values[name]).decode()
    return values


def _conversation(row: dict[str, Any]) -> Conversation:
    return Conversation(**_decoded(row, _CONVERSATION_JSON))


def _entry(row: Sequence[Any]) -> Entry:
    """From the columns in the order of the struct's fields: a row's own way to a dict is twice as slow."""
    return Entry(**_decoded(dict(zip(Entry.__struct_fields__, row, strict=True)), _ENTRY_JSON))


def _decoded(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    for name in names:
        if row[name] is not None:
            row[name] = _decode(row[name])
    return row
