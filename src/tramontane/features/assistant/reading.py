"""Which of an owner's conversations a list shows, and which entries of one: the branch that is shown, or all of its tree."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from tramontane.features.assistant import store
from tramontane.features.assistant.nouns import Conversation, Entry, Owner

_COLUMNS = ("archived", "pinned", "project_id")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What conversations of a list have in common; None where it does not matter. `metadata` are pairs they all carry."""

    archived: bool | None = None
    pinned: bool | None = None
    project_id: str | None = None
    metadata: dict[str, Any] | None = None


def page(connection: Connection, owner: Owner, wanted: Wanted, number: int, size: int) -> list[Conversation]:
    """The page of that number, from 0: pinned first, then the latest."""
    filters = {name: value for name in _COLUMNS if (value := getattr(wanted, name)) is not None}
    first = number * size
    if wanted.metadata is None:
        return list(store.listed(connection, owner, filters, first, size))
    # Neither database looks into metadata alike, so that those are passed by one by one.
    fitting = (
        one for one in store.listed(connection, owner, filters, 0, None) if _carries(one.metadata, wanted.metadata)
    )
    return list(itertools.islice(fitting, first, first + size))


def history(
    connection: Connection, owner: Owner, conversation_id: str, whole: bool
) -> tuple[Conversation, Sequence[Entry]]:
    """A conversation with the path to its head, or `whole`, with all branches. Raises NotFound."""
    one = store.one(connection, owner, conversation_id)
    if whole:
        return one, store.tree(connection, owner, conversation_id)
    return one, store.path(connection, owner, conversation_id, one.head_entry_id)


def _carries(found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    return found is not None and all(found.get(name) == value for name, value in wanted.items())
