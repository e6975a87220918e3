"""What search and titles make of any text: words that both databases agree on, excerpts that hold their hits, plain names."""

import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.features.assistant import words
from tramontane.features.assistant.titles import LONGEST, first_words, title_from
from tramontane.features.assistant.words import LONGEST_WORD, MOST_CHARACTERS, excerpt, fold, fold_all, query_words


@given(st.text())
def test_folded_text_is_only_short_words_and_stays_so(text: str) -> None:
    folded = fold(text)
    assert all(word and len(word) <= LONGEST_WORD for word in folded.split(" ")) or folded == ""
    assert all(letter == " " or letter.isalnum() for letter in folded)
    assert "\x00" not in folded and "_" not in folded
    assert len(query_words(text)) <= 12


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Élève, ÉCOLE", "eleve ecole"),
        ("foo_bar-baz.example.com", "foo bar baz example com"),
        ("Straße", "strasse"),
        ("漢字 test", "漢 字 test"),
        ("\u202eabc", "abc"),
        ("x" * 65, ""),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text(max_size=600), st.text(alphabet="abcdefgh", min_size=1, max_size=3))
def test_an_excerpt_is_a_piece_of_the_text(text: str, word: str) -> None:
    parts = excerpt(text, [word])
    joined = "".join(str(part["text"]) for part in parts).removeprefix("… ").removesuffix(" …")
    assert joined in text or joined.strip("… ") in text
    for part in parts:
        if part["hit"]:
            assert fold(str(part["text"])).startswith(word)


def test_a_hit_far_down_is_shown_with_what_stands_around_it() -> None:
    parts = excerpt("filler " * 5000 + "the Tramontane blows " + "filler " * 5000, ["tramon"])
    assert [part["text"] for part in parts if part["hit"]] == ["Tramontane"]
    assert parts[0]["text"] == "… " and parts[-1]["text"] == " …"
    assert sum(len(str(part["text"])) for part in parts) < 200


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Mistral winds", "Mistral winds"),
        ('"Title: The winds of Provence."\n\nSome more', "The winds of Provence"),
        ("**Le mistral**", "Le mistral"),
        ("", "what is the wind"),
        ("   \n\n", "what is the wind"),
        ("<script>alert(1)</script>", "what is the wind"),
        ("[click](https://example.org)", "what is the wind"),
        ("see www.example.org", "what is the wind"),
        ("invisible\u202eturn", "what is the wind"),
        ("word " * 40, "what is the wind"),
        ("x", "what is the wind"),
    ],
)
def test_titles(said: str, name: str) -> None:
    assert title_from(said, "what is the wind") == name


@given(st.text(), st.text())
def test_any_title_is_one_plain_short_line(said: str, question: str) -> None:
    name = title_from(said, question)
    assert 1 <= len(name) <= LONGEST + 1
    assert not any(unicodedata.category(letter) in ("Cc", "Cf") for letter in name)
    assert first_words(question)


def test_a_hit_inside_writing_without_spaces_is_shown() -> None:
    parts = excerpt("日本語の文章です。" * 50, query_words("文章"))
    assert [part["text"] for part in parts if part["hit"]][:2] == ["文", "章"]


def test_an_excerpt_looks_no_further_than_the_index_does() -> None:
    """An answer may be far longer than what is found of it; each look at a word of it costs."""
    assert not any(part["hit"] for part in excerpt("été " * MOST_CHARACTERS + "needle", ["needle"]))


@given(st.lists(st.text(max_size=30)), st.integers(0, 100))
def test_words_of_many_texts_come_from_their_first_characters(texts: list[str], most: int) -> None:
    folded = fold_all(texts, most)
    cut = [text[: max(0, most - sum(map(len, texts[:place])))] for place, text in enumerate(texts)]
    assert folded == [fold(text) for text in cut]


def test_letters_that_become_many_cost_no_more_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0

    def combining(letter: str) -> int:
        nonlocal looked_at
        looked_at += 1
        return unicodedata.combining(letter)

    monkeypatch.setattr(words, "unicodedata", SimpleNamespace(normalize=unicodedata.normalize, combining=combining))
    assert len(fold("\ufdfa" * MOST_CHARACTERS)) <= MOST_CHARACTERS  # eighteen letters each
    assert looked_at <= 3 * MOST_CHARACTERS
