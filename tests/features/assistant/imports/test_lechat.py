"""Le Chat's exports: a line in the order of time, or the tree its messages name."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.features.assistant.imports.spoiling import ANY_JSON, check, spoiled

from tramontane.features.assistant.imports import lechat
from tramontane.features.assistant.imports.nouns import NS, Imported, Unreadable

BEGUN_NS = 1_748_772_000 * NS  # 2025-06-01T10:00:00Z


def message(name: str, second: int = 0, role: str = "user", **more: Any) -> dict[str, Any]:
    created_at = f"2025-06-01T10:00:{second:02}.000Z"
    return {"chatId": "chat", "id": name, "role": role, "content": name, "createdAt": created_at, **more}


def places(found: Imported) -> list[tuple[str, str | None]]:
    return [(one.node_id, one.parent_id) for one in found.nodes]


SAMPLE = [
    message("q", files=[{"type": "text", "name": "notes.txt"}]),
    message("a", 5, "assistant", content="", contentChunks=[{"type": "text", "text": "Salut"}, {"type": "tool_call"},
                                                            {"type": "text", "text": " !"}]),
    message("more", 9),
]  # fmt: skip


def test_a_sample_is_read_whole() -> None:
    found = lechat.read(SAMPLE)
    assert [(one.kind, one.body["content"]) for one in found.nodes] == [
        ("message.input", "q\n[notes.txt]"),
        ("message.output", "Salut !"),
        ("message.input", "more"),
    ]
    assert places(found) == [("q", None), ("a", "q"), ("more", "a")]
    assert (found.origin, found.name, found.head_id) == ("lechat:chat", None, "more")
    assert (found.created_ns, found.updated_ns) == (BEGUN_NS, BEGUN_NS + 9 * NS)


@given(st.permutations(range(8)))
def test_the_order_of_the_file_is_nothing_and_that_of_time_all(order: list[int]) -> None:
    found = lechat.read([message(f"m{second}", second) for second in order])
    assert places(found) == [(f"m{second}", f"m{second - 1}" if second else None) for second in range(8)]
    assert found.head_id == "m7"


def test_messages_that_name_their_parents_are_a_tree() -> None:
    found = lechat.read([message("q"), message("a", 1, parentId="q"), message("b", 2, parentId="q"), message("x", 3)])
    assert places(found) == [("q", None), ("a", "q"), ("b", "q"), ("x", None)]


def test_the_branch_shown_ends_in_what_was_said_last() -> None:
    line = [message("q"), message("a", 1, parentId="q"), message("b", 2, parentId="q"), message("c", 3, parentId="a")]
    assert lechat.read(line).head_id == "c"


def test_an_answer_made_again_under_the_same_id_is_kept_too() -> None:
    found = lechat.read([message("q"), message("a", 1, "assistant"), message("a", 2, "assistant"), message("a", 3)])
    assert len({one.node_id for one in found.nodes}) == len(found.nodes) == 4


def test_what_says_nothing_is_passed_over_and_what_follows_it_kept() -> None:
    found = lechat.read([message("q"), message("s", 1, "system"), message("e", 2, content=""), message("a", 3)])
    assert places(found) == [("q", None), ("a", "q")]


@pytest.mark.parametrize("one", [None, {}, [], "x", [1, 2], [None]])
def test_without_messages_it_is_unreadable(one: Any) -> None:
    with pytest.raises(Unreadable):
        lechat.read(one)


def test_one_file_is_one_conversation_and_several_may_be_gathered() -> None:
    assert lechat.recognises(SAMPLE) and lechat.recognises([SAMPLE, SAMPLE])
    assert [list(one) for one in lechat.conversations(SAMPLE)] == [SAMPLE]
    assert list(lechat.conversations([SAMPLE, SAMPLE])) == [SAMPLE, SAMPLE]
    for other in ([], {}, [{}], [[]], [{"chatId": "x"}], "chatId role"):
        assert not lechat.recognises(other)


@given(spoiled(SAMPLE))
def test_whatever_stands_in_a_file_is_read_or_refused(one: Any) -> None:
    with contextlib.suppress(Unreadable):
        check(lechat.read(one))


@given(ANY_JSON)
def test_anything_may_be_asked_whether_it_is_one(data: Any) -> None:
    assert lechat.recognises(data) in (True, False)
