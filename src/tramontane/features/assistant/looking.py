"""Asks the search index which of one owner's conversations hold the words, newest hit first; each database in its own way.

No other owner's texts are walked: SQLite's index is asked with the owner's own word, PostgreSQL's knows each word by the first
letters of that, its mark, which few owners share. The index is derived and knows hits by their numbers: whoever shows one
reads the row of that number and checks whose it is. Called by `search`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, text

from tramontane.features.assistant.nouns import Owner

CANDIDATES = 300
MOST_LOOKS = 6
"""Of so many hits each, before SQLite gathers all that are left, which for a frequent word takes long."""
LARGEST = 2**63 - 1
EVERYTHING = -1  # SQLite's word for no limit
MARK = slice(1, 5)
NEAR = 1000
"""So many of the owner's latest texts PostgreSQL reads one by one before it asks its index, which knows no order of time."""
NEXT_NEAR = 6
"""How many times as many it reads next, where that seems to be enough."""

# The index is walked first and the rows after it, by their numbers, whatever a planner thinks of it.
_SQLITE = {
    index: text(
        "SELECT one.conversation_id, MAX(one.number) AS newest, MIN(one.number) AS oldest, COUNT(*) AS rows "  # noqa: S608
        f"FROM (SELECT rowid AS number FROM {index} WHERE {index} MATCH :query AND rowid < :before "
        "ORDER BY rowid DESC LIMIT :most) AS found "
        f"CROSS JOIN {table} AS one ON one.number = found.number WHERE one.scope = :scope "
        "GROUP BY one.conversation_id ORDER BY newest DESC"
    )
    for index, table in (("search_entry", "conversation_entry"), ("search_conversation", "conversation"))
}
# One way for each statement, whatever a planner thinks, who may not have counted the rows yet: walk, or ask the index of words
# alone, which OFFSET keeps apart from the owner's.
_ONE_WAY = text(
    "SELECT " + ", ".join(f"set_config('{way}', 'off', true)" for way in ("enable_seqscan", "enable_sort", "jit"))
)
_NEAR = {
    index: text(
        f"WITH near AS MATERIALIZED (SELECT conversation_id, number, found @@ CAST(:query AS tsquery) AS hit FROM {index} "  # noqa: S608
        "WHERE scope = :scope ORDER BY number DESC LIMIT :near) "
        "(SELECT conversation_id, MAX(number) AS newest FROM near WHERE hit GROUP BY conversation_id ORDER BY newest DESC "
        "LIMIT :most) UNION ALL SELECT NULL, COUNT(*) FROM near"
    )
    for index in _SQLITE
}
_ALL = {
    index: text(
        "SELECT conversation_id, MAX(number) AS newest FROM (SELECT scope, conversation_id, number "  # noqa: S608
        f"FROM {index} WHERE found @@ CAST(:query AS tsquery) OFFSET 0) AS found WHERE scope = :scope "
        "GROUP BY conversation_id ORDER BY newest DESC LIMIT :most"
    )
    for index in _SQLITE
}


def prepare(connection: Connection) -> None:
    """Before the looks of a transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(_ONE_WAY)


def latest(connection: Connection, owner: Owner, index: str, words: Sequence[str], most: int) -> dict[str, int]:
    """The conversations with the latest hits in that index, newest first, each with the number of its latest hit."""
    if connection.dialect.name == "sqlite":
        return _walked_back(connection, owner, index, words, most)
    query = " & ".join(f"'{owner.scope[MARK]}{word}':*" for word in words)
    near = NEAR
    for _ in range(2):
        values = {"query": query, "scope": owner.scope, "near": near, "most": most}
        rows = connection.execute(_NEAR[index], values).all()
        found = _newest_first(row for row in rows if row.conversation_id is not None)
        walked = next(row.newest for row in rows if row.conversation_id is None)
        if len(found) == most or walked < near:
            return found
        if len(found) * NEXT_NEAR < most:
            break
        # At this pace the rest of them is near too, and asking for so frequent a word would bring thousands of hits.
        near = NEAR * NEXT_NEAR
    return _newest_first(connection.execute(_ALL[index], {"query": query, "scope": owner.scope, "most": most}))


def _newest_first(rows: Iterable[Any]) -> dict[str, int]:
    return {row.conversation_id: row.newest for row in sorted(rows, key=lambda row: -row.newest)}


def _walked_back(connection: Connection, owner: Owner, index: str, words: Sequence[str], most: int) -> dict[str, int]:
    """SQLite's index is walked back in time itself, some hits at a look."""
    query = f'scope : "{owner.scope}" AND ' + " AND ".join(f'words : "{word}" *' for word in words)
    found: dict[str, int] = {}
    before = LARGEST
    for _ in range(MOST_LOOKS):
        values = {"query": query, "before": before, "most": CANDIDATES, "scope": owner.scope}
        rows = connection.execute(_SQLITE[index], values).all()
        for row in rows:
            found.setdefault(row.conversation_id, row.newest)
        # A word that stands in every entry fills a look with few conversations: look further back.
        if sum(row.rows for row in rows) < CANDIDATES or len(found) >= most:
            break
        before = min(row.oldest for row in rows)
    else:
        values = {"query": query, "before": before, "most": EVERYTHING, "scope": owner.scope}
        for row in connection.execute(_SQLITE[index], values):
            found.setdefault(row.conversation_id, row.newest)
    return dict(list(found.items())[:most])
