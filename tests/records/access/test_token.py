"""What is and what is not a secret of ours, whatever it opens."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.records.access.token import digest_of, is_token, new_token

LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
TOKENS = st.text(LETTERS, min_size=43, max_size=43)


def test_a_new_token_is_one_and_never_the_same() -> None:
    made = {new_token() for _ in range(200)}
    assert len(made) == 200
    assert all(is_token(one) for one in made)


@given(TOKENS, st.integers(0, 42), st.characters(exclude_characters=LETTERS))
def test_one_foreign_character_or_one_more_or_less_spoils_it(token: str, place: int, foreign: str) -> None:
    assert is_token(token)
    for other in (
        token[:place] + foreign + token[place + 1 :],
        token + foreign,
        foreign + token,
        token[1:],
        token + "a",
    ):
        assert not is_token(other)


@given(TOKENS)
def test_what_is_kept_is_its_digest(token: str) -> None:
    assert digest_of(token) == hashlib.sha256(token.encode()).digest()


def test_what_is_not_ascii_has_none() -> None:
    with pytest.raises(UnicodeEncodeError):
        digest_of("\u0430" * 43)
