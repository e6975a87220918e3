"""Lists page by page and histories, on both databases: everything once, in one order, and only what fits."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.features.assistant.rooms import COLLEAGUE, ELSEWHERE, OWNER, Begun, entry, now_ns, parents, path_to

from tramontane.features.assistant import reading, store
from tramontane.features.assistant.nouns import Conversation, Owner
from tramontane.features.assistant.reading import Wanted
from tramontane.foundation.errors import NotFound
from tramontane.foundation.ids import new_id
from tramontane.foundation.store.database import Database

METADATA = st.none() | st.fixed_dictionaries({}, optional={"team": st.sampled_from("ab"), "n": st.integers(0, 1)})
PLACES = st.fixed_dictionaries(
    {
        "pinned": st.booleans(),
        "archived": st.booleans(),
        "project_id": st.sampled_from([None, "proj_1", "proj_2"]),
        "metadata": METADATA,
        "updated_ns": st.integers(0, 5),
    }
)
WANTED = st.builds(
    Wanted,
    archived=st.none() | st.booleans(),
    pinned=st.none() | st.booleans(),
    project_id=st.sampled_from([None, "proj_1"]),
    metadata=METADATA,
)


def add(connection: Connection, owner: Owner, fields: dict[str, Any]) -> Conversation:
    known = {"conversation_id": new_id("conv"), "owner_id": owner.owner_id, "model": "m", "number": now_ns()}
    made = Conversation(**{**known, **fields})
    store.add(connection, owner, made, "")
    return made


def fits(one: Conversation, wanted: Wanted) -> bool:
    same = all(getattr(wanted, name) in (None, getattr(one, name)) for name in ("archived", "pinned", "project_id"))
    if not same or wanted.metadata is None:
        return same
    return one.metadata is not None and wanted.metadata.items() <= one.metadata.items()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PLACES, max_size=12), WANTED, st.integers(1, 5))
def test_the_pages_of_a_list_hold_what_fits_once_and_in_order(
    database: Database, places: list[dict[str, Any]], wanted: Wanted, size: int
) -> None:
    owner = Owner("org", "ws", new_id("p"))
    with database.write() as connection:
        made = [add(connection, owner, fields) for fields in places]
        add(connection, COLLEAGUE, {"archived": wanted.archived or False, "pinned": wanted.pinned or False})
        pages = [reading.page(connection, owner, wanted, number, size) for number in range(len(made) // size + 1)]
        assert reading.page(connection, owner, wanted, len(made) // size + 1, size) == []
    listed = [one for page in pages for one in page]
    # Which of two of the same time comes before the other is each database's own affair.
    assert sorted(listed, key=_id_of) == sorted((one for one in made if fits(one, wanted)), key=_id_of)
    order = [(not one.pinned, -one.updated_ns) for one in listed]
    assert order == sorted(order)
    assert all(len(page) == size for page in pages[: len(listed) // size])


@pytest.mark.parametrize("metadata", [None, {"team": "a"}])
def test_a_page_begins_where_the_one_before_it_ended(database: Database, metadata: dict[str, Any] | None) -> None:
    with database.write() as connection:
        made = [add(connection, OWNER, {"updated_ns": -place, "metadata": {"team": "a"}}) for place in range(5)]
        wanted = Wanted(metadata=metadata)
        pages = [reading.page(connection, OWNER, wanted, number, 2) for number in range(4)]
    assert pages == [made[:2], made[2:4], made[4:], []]


def _id_of(one: Conversation) -> str:
    return one.conversation_id


def test_settings_too_long_for_a_list_are_left_to_the_conversation_itself(database: Database) -> None:
    long = {"text": "x" * store.LONGEST_LISTED}
    fields = {
        "instructions": "i" * (store.LONGEST_LISTED + 1), "description": "short", "completion_args": long,
        "tools": [long], "metadata": long,
    }  # fmt: skip
    with database.write() as connection:
        made = add(connection, OWNER, fields)
        (listed,) = reading.page(connection, OWNER, Wanted(), 0, 10)
        assert store.one(connection, OWNER, made.conversation_id) == made
    assert (listed.instructions, listed.description, listed.metadata) == (None, "short", None)
    assert (listed.completion_args, listed.tools) == ({}, [])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=parents(12).filter(bool), data=st.data())
def test_a_history_is_the_path_to_the_head_or_every_branch(
    database: Database, shape: list[int | None], data: st.DataObject
) -> None:
    ids = [new_id("msg") for _ in shape]
    rows = [
        entry(entry_id=ids[place], parent_id=None if above is None else ids[above], number=now_ns())
        for place, above in enumerate(shape)
    ]
    head = data.draw(st.none() | st.integers(0, len(shape) - 1))
    with database.write() as connection:
        made = add(connection, OWNER, {"head_entry_id": None if head is None else ids[head]})
        store.add_entries(connection, OWNER, made.conversation_id, [(row, "") for row in rows], None)
        one, path = reading.history(connection, OWNER, made.conversation_id, False)
        _, whole = reading.history(connection, OWNER, made.conversation_id, True)
    assert one == made
    assert [row.entry_id for row in path] == [ids[place] for place in path_to(shape, head)]
    assert list(whole) == rows


@pytest.mark.parametrize("stranger", [COLLEAGUE, ELSEWHERE, Owner("elsewhere", "ws", "ada")])
def test_a_strangers_history_is_not_there(database: Database, stranger: Owner) -> None:
    with database.write() as connection:
        turn = Begun(connection).start("one")
        for conversation_id in (turn.conversation.conversation_id, "conv_nothing"):
            for whole in (True, False):
                with pytest.raises(NotFound):
                    reading.history(connection, stranger, conversation_id, whole)
