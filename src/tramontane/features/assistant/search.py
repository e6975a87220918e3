"""Finds words in one owner's conversations, alike on both databases: newest first, one hit per conversation.

What was typed never becomes a query as it stands: it is folded to plain words, and only those are put together. The index says
where they stand (`looking`); the rows behind it carry the owner's own word and are checked by it, so that they are found by
their numbers alone and no planner is tempted to walk a whole workspace instead.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, case, func, select

from tramontane.features.assistant import content, looking, store
from tramontane.features.assistant.nouns import Owner
from tramontane.features.assistant.tables import conversation, entry
from tramontane.features.assistant.words import excerpt, query_words

SHORT_BYTES = 20_000


class Hit(msgspec.Struct, frozen=True):
    """One conversation that holds the words; `entry_id` None when they stand in its name."""

    conversation_id: str
    name: str | None
    entry_id: str | None
    snippet: list[dict[str, Any]]
    updated_ns: int


def find(connection: Connection, owner: Owner, looked_for: str, most: int) -> list[Hit]:
    """The latest conversations that hold all the words, each by its beginning; none for a text without words."""
    words = query_words(looked_for)
    if not words:
        return []
    looking.prepare(connection)
    hits = _in_names(connection, owner, words, most)
    if len(hits) < most:
        named = {hit.conversation_id for hit in hits}
        hits += [hit for hit in _in_entries(connection, owner, words, most) if hit.conversation_id not in named]
    return hits[:most]


def _in_names(connection: Connection, owner: Owner, words: Sequence[str], most: int) -> list[Hit]:
    ids = list(looking.latest(connection, owner, "search_conversation", words, most))
    columns = conversation.c
    where = (*store.inside(conversation, owner), columns.conversation_id.in_(ids), columns.scope == owner.scope)
    query = select(columns.conversation_id, columns.name, columns.updated_ns).where(*where)
    named = connection.execute(query).all() if ids else []
    hits = [Hit(row.conversation_id, row.name, None, excerpt(row.name or "", words), row.updated_ns) for row in named]
    return sorted(hits, key=lambda hit: -hit.updated_ns)


def _in_entries(connection: Connection, owner: Owner, words: Sequence[str], most: int) -> list[Hit]:
    """Bodies are read only of the entries that will be shown."""
    numbers = list(looking.latest(connection, owner, "search_entry", words, most).values())
    hits = []
    for row in _shown(connection, owner, numbers):
        # One at a time: a hundred bodies of ten megabytes must not stand in memory together.
        body = row.body if row.body is not None else _body(connection, owner, row.number)
        if body is not None:
            snippet = excerpt(content.text_of(msgspec.json.decode(body)), words)
            hits.append(Hit(row.conversation_id, row.name, row.entry_id, snippet, row.updated_ns))
    return hits


def _shown(connection: Connection, owner: Owner, numbers: Sequence[int]) -> Sequence[Any]:
    """The entries of those numbers with their conversations, latest first; the body only where it is short."""
    size = func.octet_length if connection.dialect.name == "postgresql" else func.length
    body = case((size(entry.c.body) <= SHORT_BYTES, entry.c.body)).label("body")
    here = and_(
        *(conversation.c[name] == entry.c[name] for name in ("organisation_id", "workspace_id", "conversation_id"))
    )
    query = (
        select(
            entry.c.number,
            entry.c.entry_id,
            body,
            *(conversation.c[name] for name in ("conversation_id", "name", "updated_ns")),
        )
        .join(conversation, here)
        .where(entry.c.number.in_(numbers), entry.c.scope == owner.scope, conversation.c.scope == owner.scope)
    )
    rows = connection.execute(query).all() if numbers else []
    return sorted(rows, key=lambda row: -row.number)


def _body(connection: Connection, owner: Owner, number: int) -> str | None:
    query = select(entry.c.body).where(entry.c.number == number, entry.c.scope == owner.scope)
    return connection.execute(query).scalar_one_or_none()
