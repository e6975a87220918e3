"""Marks are found wherever the text is cut, and never leak."""

from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.marks import MarkFinder

_TEXT = st.text("abc", max_size=30)
_MARKS = st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=4)


def _by_definition(text: str, marks: list[str]) -> tuple[str, bool]:
    """Character by character: the text before the mark that completes first (the longest of those)."""
    for end in range(1, len(text) + 1):
        ended = [mark for mark in marks if text[:end].endswith(mark)]
        if ended:
            return text[: end - max(map(len, ended))], True
    return text, False


@given(text=_TEXT, marks=_MARKS, data=st.data())
def test_result_does_not_depend_on_the_cuts(text: str, marks: list[str], data: st.DataObject) -> None:
    finder = MarkFinder(marks)
    seen, found, at = "", None, 0
    while at < len(text) and found is None:
        size = data.draw(st.integers(1, 6))
        before, found, _ = finder.push(text[at : at + size])
        seen += before
        at += size
    if found is None:
        seen += finder.flush()
    expected, has_mark = _by_definition(text, marks)
    assert (seen, found is not None) == (expected, has_mark)


@given(text=_TEXT, marks=_MARKS)
def test_the_rest_follows_the_mark(text: str, marks: list[str]) -> None:
    before, found, rest = (finder := MarkFinder(marks)).push(text)
    assert before + (found or "") + rest + finder.flush() == text


def test_only_what_may_begin_a_mark_is_held_back() -> None:
    finder = MarkFinder(("STOP",))
    assert finder.push("hello ST") == ("hello ", None, "")
    assert finder.push("ART") == ("START", None, "")
