"""What may name a conversation: a plain short line of the model's, else the question's first words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.features.assistant.titles import FIRST_WORDS, LONGEST, first_words, title_ask, title_from

QUESTION = "How tall is the tower?"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("The tower's height", "The tower's height"),
        ('  "**The tower**."  \nand more', "The tower"),
        ("Title: The tower", "The tower"),
        ("« La tour »", "La tour"),
        ("Titre : La tour", "La tour"),
    ],
)
def test_a_plain_line_of_the_model_is_the_name(said: str, name: str) -> None:
    assert title_from(said, QUESTION) == name


@pytest.mark.parametrize(
    "said",
    [
        "",
        " \n ",
        "x",
        "word " * 40,
        "<img src=x onerror=alert(1)>",
        "[here](https://example.org)",
        "see www.example.org",
        "{{ secret }}",
        "exe.\u202etxt",
        "a\u200bb",
        "bell\x07",
    ],
)
def test_anything_else_gives_way_to_the_question(said: str) -> None:
    assert title_from(said, QUESTION) == QUESTION


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_name_is_one_short_line_without_tricks(said: str, question: str) -> None:
    name = title_from(said, question)
    assert 1 <= len(name) <= LONGEST + 1
    assert not {unicodedata.category(letter) for letter in name} & {"Cc", "Cf"}


def test_long_questions_are_cut_with_a_sign_of_it() -> None:
    assert first_words("one two three four five six seven eight nine") == "one two three four five six seven eight…"
    assert len(first_words("one two three four five six seven eight nine").split()) == FIRST_WORDS
    assert first_words("x" * 500) == "x" * (LONGEST - 1) + "…"
    assert first_words("") == "…"


def test_the_ask_is_small_and_without_chance() -> None:
    ask = title_ask("title_1", "model", "q" * 10_000, "a" * 10_000)
    assert ask.sampling.temperature == 0.0
    assert ask.limits.max_tokens is not None
    assert ask.limits.max_tokens < 100
    assert len(ask.messages[0].content[0].text) < 3000  # type: ignore[union-attr]
