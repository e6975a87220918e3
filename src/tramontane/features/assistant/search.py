"""Finds words in one owner's conversations, alike on both databases: newest first, one hit per conversation.

What was typed never becomes a query as it stands: it is folded to plain words, and only those are put together. The index is
asked with the owner's own word, so it walks nobody else's texts; the rows behind it carry that word too and are checked by it,
so that they are found by their numbers alone and no planner is tempted to walk a whole workspace instead.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select, text

from tramontane.features.assistant import content, store
from tramontane.features.assistant.nouns import Owner
from tramontane.features.assistant.tables import conversation, entry
from tramontane.features.assistant.words import excerpt, query_words

CANDIDATES = 300
MOST_LOOKS = 6
LARGEST = 2**63 - 1
# The index is walked first and the rows after it, by their numbers, whatever a planner thinks of it.
_GROUPED = "GROUP BY one.conversation_id ORDER BY newest DESC"
_PICKED = "SELECT one.conversation_id, MAX(one.number) AS newest, MIN(one.number) AS oldest, COUNT(*) AS rows"
_SQLITE = {
    "entry": text(
        f"{_PICKED} FROM (SELECT rowid AS number FROM search_entry WHERE search_entry MATCH :query "  # noqa: S608
        "AND rowid < :before ORDER BY rowid DESC LIMIT :most) AS found "
        f"CROSS JOIN conversation_entry AS one ON one.number = found.number WHERE one.scope = :scope {_GROUPED}"
    ),
    "name": text(
        f"{_PICKED} FROM (SELECT rowid AS number FROM search_conversation WHERE search_conversation MATCH :query "  # noqa: S608
        "AND rowid < :before ORDER BY rowid DESC LIMIT :most) AS found "
        f"CROSS JOIN conversation AS one ON one.number = found.number WHERE one.scope = :scope {_GROUPED}"
    ),
}
_POSTGRESQL = {
    "entry": text(
        f"{_PICKED} FROM (SELECT number FROM search_entry WHERE found @@ CAST(:query AS tsquery) "  # noqa: S608
        "AND number < :before ORDER BY number DESC LIMIT :most) AS found "
        f"JOIN conversation_entry AS one ON one.number = found.number WHERE one.scope = :scope {_GROUPED}"
    ),
    "name": text(
        f"{_PICKED} FROM (SELECT number FROM search_conversation WHERE found @@ CAST(:query AS tsquery) "  # noqa: S608
        "AND number < :before ORDER BY number DESC LIMIT :most) AS found "
        f"JOIN conversation AS one ON one.number = found.number WHERE one.scope = :scope {_GROUPED}"
    ),
}


# A rare word: all its rows from the word's own index, whatever the planner expects of walking back in time.
FEW = 2000
_BY_WORD = text("SELECT set_config('enable_indexscan', :on, true), set_config('enable_seqscan', :on, true)")
_FEW = {
    "entry": text("SELECT number FROM search_entry WHERE found @@ CAST(:query AS tsquery) LIMIT :most"),
    "name": text("SELECT number FROM search_conversation WHERE found @@ CAST(:query AS tsquery) LIMIT :most"),
}
_THOSE = {
    "entry": text(
        f"{_PICKED} FROM conversation_entry AS one WHERE one.number = ANY(:numbers) AND one.scope = :scope {_GROUPED}"
    ),
    "name": text(
        f"{_PICKED} FROM conversation AS one WHERE one.number = ANY(:numbers) AND one.scope = :scope {_GROUPED}"
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
            hits.append(hit)
    return hits[:most]


def _look(
    connection: Connection, owner: Owner, where: str, words: Sequence[str], before: int, most: int
) -> Sequence[Any]:
    """The latest rows that hold the words, from before that number on, by conversation."""
    if connection.dialect.name == "sqlite":
        query = f'scope : "{owner.scope}" AND ' + " AND ".join(f'words : "{word}" *' for word in words)
        statement = _SQLITE[where]
    else:
        query = f"'{owner.scope}' & " + " & ".join(f"'{word}':*" for word in words)
        few = _few(connection, where, query)
        if few is not None:
            numbers = sorted((number for number in few if number < before), reverse=True)[:most]
            return connection.execute(_THOSE[where], {"numbers": numbers, "scope": owner.scope}).all()
        statement = _POSTGRESQL[where]
    values = {"query": query, "before": before, "most": most, "scope": owner.scope}
    return connection.execute(statement, values).all()


def _few(connection: Connection, where: str, query: str) -> Sequence[int] | None:
    """All rows that hold the words when they are few; None when they are many, which walking back in time finds soon."""
    connection.execute(_BY_WORD, {"on": "off"})
    numbers = list(connection.execute(_FEW[where], {"query": query, "most": FEW}).scalars())
    connection.execute(_BY_WORD, {"on": "on"})
    return numbers if len(numbers) < FEW else None


def _in_names(connection: Connection, owner: Owner, words: Sequence[str], most: int) -> list[Hit]:
    ids = [row.conversation_id for row in _look(connection, owner, "name", words, LARGEST, most)]
    named = _conversations(connection, owner, ids)
    hits = [Hit(row.conversation_id, row.name, None, excerpt(row.name or "", words), row.updated_ns) for row in named]
    return sorted(hits, key=lambda hit: -hit.updated_ns)


def _in_entries(connection: Connection, owner: Owner, words: Sequence[str], most: int) -> list[Hit]:
    """Bodies are read only of the entries that will be shown, and one by one: they may be long."""
    latest: dict[str, int] = {}
    before = LARGEST
    for _ in range(MOST_LOOKS):
        rows = _look(connection, owner, "entry", words, before, CANDIDATES)
        for row in rows:
            latest.setdefault(row.conversation_id, row.newest)
        # A word that stands in every entry fills a look with few conversations: look further back.
        if sum(row.rows for row in rows) < CANDIDATES or len(latest) >= most:
            break
        before = min(row.oldest for row in rows)
    shown = dict(list(latest.items())[:most])
    named = {row.conversation_id: row for row in _conversations(connection, owner, list(shown))}
    hits = []
    for one, number in shown.items():
        said = _said(connection, owner, number) if one in named else None
        if said is not None:
            full = content.text_of(msgspec.json.decode(said.body))
            hits.append(Hit(one, named[one].name, said.entry_id, excerpt(full, words), named[one].updated_ns))
    return hits


def _conversations(connection: Connection, owner: Owner, ids: Sequence[str]) -> Sequence[Any]:
    """Checked by the owner's word rather than by name: an index on owners would tempt a planner to walk them all."""
    columns = conversation.c
    where = (*store.inside(conversation, owner), columns.conversation_id.in_(ids), columns.scope == owner.scope)
    query = select(columns.conversation_id, columns.name, columns.updated_ns).where(*where)
    return connection.execute(query).all() if ids else []


def _said(connection: Connection, owner: Owner, number: int) -> Any:
    """One at a time: a hundred bodies of ten megabytes must not stand in memory together."""
    query = select(entry.c.entry_id, entry.c.body).where(entry.c.number == number, entry.c.scope == owner.scope)
    return connection.execute(query).one_or_none()
