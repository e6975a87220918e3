"""Guesses are what stood behind the same words before, and are made only where they pay."""

from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.openvino.speculation import (
    LONG_MATCH,
    SHORT_MATCH,
    PromptLookup,
    StepCost,
    guess_lengths,
)

TEXT = st.lists(st.integers(0, 3), min_size=1, max_size=40)


def searched(text: list[int], limit: int) -> list[int]:
    """The same by walking the whole text backwards."""
    for length in (LONG_MATCH, SHORT_MATCH):
        tail = text[-length:]
        for place in range(len(text) - 1, length - 1, -1):
            if len(text) > length and text[place - length : place] == tail:
                period = len(text) - place
                return [text[place + offset % period] for offset in range(limit)]
    return []


@given(TEXT, st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=10), st.integers(1, 6))
def test_the_index_finds_what_a_search_of_the_text_finds(
    prompt: list[int], pieces: list[list[int]], limit: int
) -> None:
    lookup, text = PromptLookup(prompt), list(prompt)
    for piece in pieces:
        lookup.append(piece)
        text += piece
        if len(piece) % 2:
            assert lookup.guess(limit) == searched(text, limit)
    assert lookup.guess(limit) == searched(text, limit)


def test_guesses_come_from_the_given_source_too() -> None:
    assert PromptLookup([1, 2, 3], [9, 1, 2, 3, 4, 5, 6]).guess(3) == [4, 5, 6]


@given(st.floats(0.0, 1.0), st.integers(1, 12), st.integers(1, 32))
def test_lengths_lower_no_expected_rate(estimate: float, found: int, decoding: int) -> None:
    cost = StepCost()
    lengths = guess_lengths([estimate] * decoding, [found] * decoding, decoding, cost)
    rows = decoding + sum(lengths)
    expected = decoding + sum(sum(estimate**power for power in range(1, length + 1)) for length in lengths)
    assert expected / cost.of(rows) >= decoding / cost.of(decoding) - 1e-9
    assert all(length <= found for length in lengths)


def test_more_is_guessed_where_guesses_hold_and_fewer_sequences_share_the_step() -> None:
    cost = StepCost()
    alone = [guess_lengths([estimate], [12], 1, cost)[0] for estimate in (0.0, 0.3, 0.6, 0.9)]
    assert alone == sorted(alone)
    assert alone[0] == 0 < alone[1] < alone[3]
    assert sum(guess_lengths([0.3] * 32, [12] * 32, 32, cost)) == 0


def test_a_sequence_whose_guesses_fail_stops_guessing_and_tries_again_now_and_then() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 1, 2, 3])
    for _ in range(60):
        lookup.guess(1)
        lookup.learn(1, 0)
    assert guess_lengths([lookup.estimate], [1], 1, StepCost()) == [0]
    assert sum(lookup.worth_probing() for _ in range(300)) == 3
    for _ in range(10):
        lookup.guess(1)
        lookup.learn(1, 1)
    assert guess_lengths([lookup.estimate], [1], 1, StepCost()) == [1]
