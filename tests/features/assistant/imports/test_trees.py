"""What every reader stands on: trees with gaps and circles, texts and times of strangers."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.features.assistant.rooms import parents

from tramontane.features.assistant.imports import nouns
from tramontane.features.assistant.imports.nouns import (
    LATEST_NS,
    NS,
    Node,
    Unreadable,
    head_of,
    is_image,
    moment,
    nearest_kept,
    optional,
    ordered,
    seconds,
    text,
)
from tramontane.foundation.clock import iso_time

NOW_S = 1_700_000_000
# Any links at all, circles and unknown parents among them: each node's parent is another's place, itself, or nowhere.
LINKS = st.lists(st.tuples(st.integers(-1, 12), st.booleans()), max_size=12)


def node(name: str) -> Node:
    return Node(node_id=name, parent_id=None, kind="message.input", role="user", body={"content": name})


def kept_above(name: str, above: dict[str, str | None], kept: dict[str, Node]) -> str | None:
    """The nearest kept ancestor, walked plainly; None where the walk comes round."""
    seen = {name}
    at = above.get(name)
    while at is not None and at not in kept:
        if at in seen:
            return None
        seen.add(at)
        at = above.get(at)
    return at


@given(parents(), st.data())
def test_in_a_tree_each_kept_node_hangs_under_its_nearest_kept_ancestor(
    shape: Sequence[int | None], data: st.DataObject
) -> None:
    holds = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    above = {f"n{place}": None if up is None else f"n{up}" for place, up in enumerate(shape)}
    kept = {name: node(name) for name, held in zip(above, holds, strict=True) if held}
    found = ordered(kept, above)
    assert {one.node_id: one.parent_id for one in found} == {name: kept_above(name, above, kept) for name in kept}
    for name in above:
        assert nearest_kept(name, kept, above) == (name if name in kept else kept_above(name, above, kept))


@given(LINKS)
def test_whatever_the_links_parents_come_first_each_once_and_circles_are_left_out(
    links: list[tuple[int, bool]],
) -> None:
    above = {f"n{place}": None if up < 0 else f"n{up}" for place, (up, _) in enumerate(links)}
    kept = {f"n{place}": node(f"n{place}") for place, (_, held) in enumerate(links) if held}
    found = ordered(kept, above)
    seen: set[str] = set()
    for one in found:
        assert one.parent_id is None or one.parent_id in seen
        assert one.node_id not in seen
        seen.add(one.node_id)
    for name in kept:
        if name in seen:
            continue
        # Left out: its way up never ends, it comes round to a kept node.
        at: str | None = name
        for _ in range(len(links) + 1):
            at = kept_above(at, above, kept) if at is not None else None
        assert at is not None


def test_a_line_of_tens_of_thousands_is_ordered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    above: dict[str, str | None] = {f"n{place}": f"n{place - 1}" if place else None for place in range(20_000)}
    ends = {name: node(name) for name in ("n0", "n19999", "n19998")}
    assert [(one.node_id, one.parent_id) for one in ordered(ends, above)] == [
        ("n0", None), ("n19998", "n0"), ("n19999", "n19998"),
    ]  # fmt: skip
    monkeypatch.setattr(nouns, "MOST_NODES", 19_999)
    with pytest.raises(Unreadable, match="19999"):
        ordered(ends, above)


def test_the_head_is_the_one_that_was_else_the_last() -> None:
    nodes = [node("a"), node("b")]
    assert [head_of(wanted, nodes) for wanted in ("a", "nowhere", None)] == ["a", "b", "b"]
    assert head_of("a", []) is None


@given(st.integers(1_000_000_000, 4_000_000_000))
def test_a_time_is_read_in_whatever_unit_it_stands(time_s: int) -> None:
    for factor in (1, 1000, 1_000_000, 1_000_000_000):
        assert abs(seconds(time_s * factor) - time_s * NS) < NS
    assert seconds(time_s) == seconds(float(time_s)) == time_s * NS


@pytest.mark.parametrize("value", [None, True, 0, -5, float("nan"), float("inf"), 10**30, "1700000000", [], {}])
def test_what_is_no_time_is_none(value: object) -> None:
    assert seconds(value) == 0


@given(st.integers(0, LATEST_NS - 1))
def test_a_moment_is_read_as_it_was_written(time_ns: int) -> None:
    """To the microsecond: more is not written."""
    assert moment(iso_time(time_ns)) == time_ns // 1000 * 1000


@pytest.mark.parametrize(
    ("value", "time_ns"),
    [
        ("2023-11-14T22:13:20Z", NOW_S * NS),
        ("2023-11-14T23:13:20+01:00", NOW_S * NS),
        ("2023-11-14 22:13:20", NOW_S * NS),
        ("1960-01-01T00:00:00Z", 0),
        ("9999-12-31T23:59:59Z", LATEST_NS),
        ("0001-01-01T00:00:00+23:59", 0),
        ("yesterday", 0),
        ("", 0),
        (NOW_S, NOW_S * NS),
        (None, 0),
    ],
)
def test_moments(value: object, time_ns: int) -> None:
    assert moment(value) == time_ns


@given(st.text(), st.integers(0, 20))
def test_a_text_can_be_kept_and_sent(value: str, most: int) -> None:
    read = text(value, most)
    assert len(read) <= most
    assert "\x00" not in read
    assert read.encode().decode() == read


@pytest.mark.parametrize(("value", "read"), [("\ud800x", "?x"), ("a\x00", "a\ufffd"), (7, ""), (None, ""), (["a"], "")])
def test_odd_texts(value: object, read: str) -> None:
    assert text(value) == read
    assert optional(value, 5) == (read or None)


@pytest.mark.parametrize(
    ("url", "image"),
    [
        ("data:image/png;base64,AA==", True),
        ("data:image/svg+xml;base64,AA==", True),
        ("data:image/png,AA", False),
        ("https://example.org/data:image/png;base64,", False),
        ("data:text/html;base64,AA==", False),
        (None, False),
    ],
)
def test_only_what_came_along_is_an_image(url: object, image: bool) -> None:
    assert is_image(url) is image
