"""A composed batch as the arrays a paged model reads.

Knows the layout of `StepInput` and nothing else: no sampling, no cache bookkeeping. Tables and tokens are copied by
the machine word, never walked in Python. Called by `loop`.
"""

from array import array
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tramontane.adapters.servers.openvino.batch import Row
from tramontane.adapters.servers.openvino.steps import StepInput

_Number = TypeVar("_Number", bound=np.generic)


def build_step(rows: Sequence[Row], block_tokens: int, spare_block: int) -> StepInput:
    """Arrays for these rows, in order; a run that reaches the end of its text has its last position and guesses sampled.

    A matrix product over a single row rounds differently from one over more. Where a lone row belongs to a request that
    asked to be repeatable, it gets company: a position of no consequence in `spare_block`, a row sampled twice.
    """
    layout = _Layout()
    for row in rows:
        layout.add(row, block_tokens)
    if any(row.sequence.owner.repeatable for row in rows):
        layout.add_company(spare_block)
    return layout.step()


class _Layout:
    """The arrays of one step while they grow."""

    __slots__ = (
        "begins", "block_begins", "blocks", "inverse_temperature", "longest", "past", "positions", "sampled", "tokens",
    )  # fmt: skip

    def __init__(self) -> None:
        self.tokens, self.positions, self.sampled = array("q"), array("q"), array("q")
        self.past, self.begins = array("i"), array("i", [0])
        self.blocks, self.block_begins = array("i"), array("i", [0])
        self.inverse_temperature = array("f")
        self.longest = 0

    def add(self, row: Row, block_tokens: int) -> None:
        sequence, end = row.sequence, row.start + row.positions
        begin = len(self.tokens)
        self.tokens.extend(sequence.tokens[row.start : row.start + row.count])
        self.tokens.extend(row.guesses)
        self.positions.extend(range(row.start, end))
        self.past.append(row.start)
        self.begins.append(len(self.tokens))
        self.blocks.extend(sequence.table[: -(-end // block_tokens)])
        self.block_begins.append(len(self.blocks))
        self.longest = max(self.longest, end)
        if row.sampled:
            self.sampled.extend(range(begin + row.count - 1, len(self.tokens)))
            self.inverse_temperature.extend([sequence.owner.rules.inverse_temperature] * (1 + len(row.guesses)))

    def add_company(self, spare_block: int) -> None:
        """See `build_step`; nothing is added where nothing is alone."""
        if len(self.tokens) == 1:
            self.tokens.append(self.tokens[0])
            self.positions.append(0)
            self.past.append(0)
            self.begins.append(2)
            self.blocks.append(spare_block)
            self.block_begins.append(len(self.blocks))
        if len(self.sampled) == 1:
            self.sampled.append(self.sampled[0])
            self.inverse_temperature.append(self.inverse_temperature[0])

    def step(self) -> StepInput:
        return StepInput(
            tokens=_view(self.tokens, np.int64),
            positions=_view(self.positions, np.int64),
            past_lens=_view(self.past, np.int32),
            begins=_view(self.begins, np.int32),
            block_indices=_view(self.blocks, np.int32),
            block_begins=_view(self.block_begins, np.int32),
            max_context_len=self.longest,
            sampled=_view(self.sampled, np.int64),
            inverse_temperature=_view(self.inverse_temperature, np.float32),
        )


def _view(values: array, kind: type[_Number]) -> npt.NDArray[_Number]:
    return np.frombuffer(values, kind) if values else np.empty(0, kind)
