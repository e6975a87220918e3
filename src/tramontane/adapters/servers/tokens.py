"""The words that text and batching share: what a grammar allows next, and how probable a token was.

Neither side knows the other; `completion` makes grammars and reads probabilities, the engine's loop asks and reports.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Constraint(Protocol):
    """A grammar's view of one answer: which tokens may come next."""

    def mask(self) -> np.ndarray:
        """Bit set over the vocabulary, uint32 [ceil(V / 32)], bit 1 for an allowed token; valid until `accept`."""
        ...

    def accept(self, token: int) -> None:
        """Tell the grammar the token taken; it was allowed."""
        ...

    def allowed_prefix(self, tokens: list[int]) -> int:
        """How many of these guessed tokens the grammar would accept from here, in order; changes nothing."""
        ...

    @property
    def complete(self) -> bool:
        """Nothing but the end of the answer is allowed now."""
        ...


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """Natural-log probabilities at one position: the token taken and the k best, best first."""

    taken: float
    top: list[tuple[int, float]]
