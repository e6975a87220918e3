"""Thoughts and answer come apart at the marks, however the text is cut."""

from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.completion.profile import ThinkingFormat
from tramontane.adapters.servers.completion.thinking import ThinkingSplitter, Thought

_MARKS = ThinkingFormat("<think>", "</think>")


def _split(text: str, size: int, opened: bool = False) -> tuple[str, str, int]:
    splitter = ThinkingSplitter(_MARKS, opened)
    pieces: list[str | Thought] = []
    for at in range(0, len(text), size):
        pieces += splitter.push(text[at : at + size])
    pieces += splitter.flush()
    thoughts = "".join(piece.text for piece in pieces if isinstance(piece, Thought))
    answer = "".join(piece for piece in pieces if isinstance(piece, str))
    return thoughts, answer, sum(piece.closed for piece in pieces if isinstance(piece, Thought))


@given(size=st.integers(1, 40))
def test_thought_then_answer(size: int) -> None:
    assert _split("<think>\nso < it\n is</think>\n\nYes.\n", size) == ("so < it\n is", "Yes.\n", 1)


@given(size=st.integers(1, 40))
def test_opened_in_the_prompt(size: int) -> None:
    assert _split("hm</think>Yes", size, opened=True) == ("hm", "Yes", 1)


@given(size=st.integers(1, 40))
def test_an_unfinished_thought_stays_open(size: int) -> None:
    assert _split("<think>on and on</thi", size) == ("on and on</thi", "", 0)


@given(size=st.integers(1, 40))
def test_an_answer_without_thoughts(size: int) -> None:
    assert _split("a <b> c", size) == ("", "a <b> c", 0)
