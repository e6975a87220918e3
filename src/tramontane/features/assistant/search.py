"""Finds words in one owner's conversations, alike on both databases: newest first, one hit per conversation.

What was typed never becomes a query as it stands: it is folded to plain words, and only those are put together. The index is
asked with the owner's own word, so it walks nobody else's texts; the rows behind it carry that word too and are checked by it,
so that they are found by their numbers alone and no planner is tempted to walk a whole workspace instead.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select, text

from tramontane.features.assistant import content
from tramontane.features.assistant.nouns import Owner
from tramontane.features.assistant.tables import conversation, entry
from tramontane.features.assistant.words import excerpt, query_words

CANDIDATES = 300
MOST_LOOKS = 6
LARGEST = 2**63 - 1
_SQLITE = {
    "conversation_entry": text(
        "SELECT rowid FROM search_entry WHERE search_entry MATCH :query AND rowid < :before "
        "ORDER BY rowid DESC LIMIT :most"
    ),
    "conversation": text(
        "SELECT rowid FROM search_conversation WHERE search_conversation MATCH :query AND rowid < :before "
        "ORDER BY rowid DESC LIMIT :most"
    ),
}
_POSTGRESQL = {
    "conversation_entry": text(
        "SELECT number FROM search_entry WHERE found @@ CAST(:query AS tsquery) AND number < :before "
        "ORDER BY number DESC LIMIT :most"
    ),
    "conversation": text(
        "SELECT number FROM search_conversation WHERE found @@ CAST(:query AS tsquery) AND number < :before "
        "ORDER BY number DESC LIMIT :most"
    ),
}


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
    hits = _in_names(connection, owner, words, most)
    found = {hit.conversation_id for hit in hits}
    for hit in _in_entries(connection, owner, words, most):
        if hit.conversation_id not in found:
            found.add(hit.conversation_id)
            hits.append(hit)
    return hits[:most]


def _numbers(
    connection: Connection, owner: Owner, table: str, words: Sequence[str], before: int = LARGEST
) -> list[int]:
    """The latest rows that hold the words, from before that number on."""
    if connection.dialect.name == "sqlite":
        query = f'scope : "{owner.scope}" AND ' + " AND ".join(f'words : "{word}" *' for word in words)
        statement = _SQLITE[table]
    else:
        query = f"'{owner.scope}' & " + " & ".join(f"'{word}':*" for word in words)
        statement = _POSTGRESQL[table]
    return list(connection.execute(statement, {"query": query, "most": CANDIDATES, "before": before}).scalars())


def _in_names(connection: Connection, owner: Owner, words: Sequence[str], most: int) -> list[Hit]:
    columns = conversation.c
    numbers = _numbers(connection, owner, "conversation", words)[:most]
    query = (
        select(columns.conversation_id, columns.name, columns.updated_ns)
        .where(columns.number.in_(numbers), columns.scope == owner.scope)
        .order_by(columns.updated_ns.desc())
    )
    rows = connection.execute(query).all() if numbers else []
    return [Hit(row.conversation_id, row.name, None, excerpt(row.name or "", words), row.updated_ns) for row in rows]


def _in_entries(connection: Connection, owner: Owner, words: Sequence[str], most: int) -> list[Hit]:
    """Bodies are read only of the entries that will be shown: they may be long."""
    latest: dict[str, Any] = {}
    before = LARGEST
    for _ in range(MOST_LOOKS):
        numbers = _numbers(connection, owner, "conversation_entry", words, before)
        for row in _rows(connection, owner, numbers):
            latest.setdefault(row.conversation_id, row)
        # A word that stands in every entry fills a look with few conversations: look further back.
        if len(numbers) < CANDIDATES or len(latest) >= most:
            break
        before = numbers[-1]
    shown = list(latest.values())[:most]
    bodies = _bodies(connection, owner, [row.number for row in shown])
    return [
        Hit(row.conversation_id, row.name, row.entry_id, excerpt(bodies.get(row.number, ""), words), row.updated_ns)
        for row in shown
    ]


def _rows(connection: Connection, owner: Owner, numbers: Sequence[int]) -> Sequence[Any]:
    columns = conversation.c
    where = (entry.c.number.in_(numbers), entry.c.scope == owner.scope, columns.scope == owner.scope)
    query = (
        select(entry.c.number, entry.c.entry_id, columns.conversation_id, columns.name, columns.updated_ns)
        .join(conversation, _same_conversation())
        .where(*where)
        .order_by(entry.c.number.desc())
    )
    return list(connection.execute(query)) if numbers else []


def _bodies(connection: Connection, owner: Owner, numbers: Sequence[int]) -> dict[int, str]:
    query = select(entry.c.number, entry.c.body).where(entry.c.number.in_(numbers), entry.c.scope == owner.scope)
    return {row.number: content.text_of(msgspec.json.decode(row.body)) for row in connection.execute(query)}


def _same_conversation() -> Any:
    return (
        (conversation.c.organisation_id == entry.c.organisation_id)
        & (conversation.c.workspace_id == entry.c.workspace_id)
        & (conversation.c.conversation_id == entry.c.conversation_id)
    )
