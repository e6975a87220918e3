"""Guessing the next tokens from the text itself, and how many guesses are worth their cost.

`PromptLookup` finds where the last tokens of one sequence stood before and proposes what followed; it learns how often
its proposals hold. `guess_lengths` weighs that against what more rows in a step cost. Knows no model, cache or time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LONG_MATCH = 3
SHORT_MATCH = 2
MAX_GUESSES = 12
_FIRST_ESTIMATE = {LONG_MATCH: 0.5, SHORT_MATCH: 0.3}
_LEARNING_RATE = 0.12
_PROBE_EVERY = 100
_TOKEN_BITS = 21


@dataclass(frozen=True, slots=True)
class StepCost:
    """Time of a decode step by its rows, in units of the step that has none: cheap rows first, then dear ones.

    The defaults are fitted to measured steps of a small model on two cores: eight rows cost a fifth more than one.
    """

    cheap_row: float = 0.03
    dear_row: float = 0.06
    cheap_rows: int = 8

    def of(self, rows: int) -> float:
        cheap = min(rows, self.cheap_rows)
        return 1.0 + cheap * self.cheap_row + (rows - cheap) * self.dear_row


class PromptLookup:
    """The n-grams of one growing text. O(1) for each token added, and for each question but for the guesses themselves.

    `source` holds tokens to copy from beside the text itself; it counts as standing before the answer.
    """

    def __init__(self, prompt: Sequence[int], source: Sequence[int] = ()) -> None:
        self._text = [*prompt, *source, *prompt[-LONG_MATCH:]] if source else list(prompt)
        self._indexed = 0
        # Keys are two or three token ids packed into one integer, half the memory of tuples.
        self._long: dict[int, int] = {}
        self._short: dict[int, int] = {}
        self._estimate = dict(_FIRST_ESTIMATE)
        self._matched = 0
        self._idle = 0

    @property
    def estimate(self) -> float:
        """How likely the next guess holds, given the length of the match just found."""
        return self._estimate[self._matched]

    def append(self, tokens: Sequence[int]) -> None:
        self._text.extend(tokens)

    def guess(self, limit: int) -> list[int]:
        """Up to `limit` tokens that followed the latest earlier place of the text's last tokens; empty if none.

        Where the place is so near that its continuation runs into the end, the repetition is carried on.
        """
        place = self._match()
        if place is None:
            return []
        text = self._text
        period = len(text) - place
        return [text[place + offset % period] for offset in range(limit)]

    def worth_probing(self) -> bool:
        """Called when guesses were found but judged too dear: true now and then, so that a bad estimate can recover."""
        self._idle += 1
        if self._idle < _PROBE_EVERY:
            return False
        self._idle = 0
        return True

    def learn(self, guessed: int, held: int) -> None:
        """`held` of the `guessed` tokens proposed last were right, in order."""
        estimate = self._estimate[self._matched]
        for _ in range(held):
            estimate += _LEARNING_RATE * (1.0 - estimate)
        if held < guessed:
            estimate -= _LEARNING_RATE * estimate
        self._estimate[self._matched] = estimate

    def _match(self) -> int | None:
        """Where to copy from: one past the latest earlier place of the last tokens, the longer match preferred."""
        text = self._text
        self._index_up_to(len(text) - 1)
        if len(text) < LONG_MATCH:
            return None
        short = text[-2] << _TOKEN_BITS | text[-1]
        place = self._long.get(text[-3] << 2 * _TOKEN_BITS | short)
        self._matched = LONG_MATCH
        if place is None:
            place = self._short.get(short)
            self._matched = SHORT_MATCH
        return place

    def _index_up_to(self, end: int) -> None:
        """Enter every n-gram that ends before `end`, later places over earlier ones."""
        text = self._text
        for last in range(max(self._indexed, 1), end):
            short = text[last - 1] << _TOKEN_BITS | text[last]
            self._short[short] = last + 1
            if last > 1:
                self._long[text[last - 2] << 2 * _TOKEN_BITS | short] = last + 1
        self._indexed = max(self._indexed, end)


def guess_lengths(estimates: Sequence[float], found: Sequence[int], decoding: int, cost: StepCost) -> list[int]:
    """How many of each sequence's `found` guesses to verify so that tokens for each unit of time do not fall.

    `estimates` are the chances that a guess holds given that those before it did; `decoding` sequences take part in
    the step. Guesses are taken in order of their worth while the next one adds more than its rows cost.
    """
    lengths = [0] * len(estimates)
    worth = list(estimates)
    rows = decoding
    expected = float(decoding)
    while True:
        candidates = [index for index in range(len(worth)) if lengths[index] < found[index]]
        if not candidates:
            return lengths
        best = max(candidates, key=worth.__getitem__)
        time, longer = cost.of(rows), cost.of(rows + 1)
        if worth[best] * time <= expected * (longer - time):
            return lengths
        expected += worth[best]
        lengths[best] += 1
        worth[best] *= estimates[best]
        rows += 1
