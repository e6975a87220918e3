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
    tokens, positions, sampled = array("q"), array("q"), array("q")
    past, begins, blocks, block_begins = array("i"), array("i", [0]), array("i"), array("i", [0])
    inverse_temperature = array("f")
    longest = 0
    for row in rows:
        sequence, end = row.sequence, row.start + row.positions
        begin = len(tokens)
        tokens.extend(sequence.tokens[row.start : row.start + row.count])
        tokens.extend(row.guesses)
        positions.extend(range(row.start, end))
        past.append(row.start)
        begins.append(len(tokens))
        blocks.extend(sequence.table[: -(-end // block_tokens)])
        block_begins.append(len(blocks))
        longest = max(longest, end)
        if row.sampled:
            sampled.extend(range(begin + row.count - 1, len(tokens)))
            inverse_temperature.extend([sequence.owner.rules.inverse_temperature] * (1 + len(row.guesses)))
    if any(row.sequence.owner.repeatable for row in rows):
        if len(tokens) == 1:
            tokens.append(tokens[0])
            positions.append(0)
            past.append(0)
            begins.append(2)
            blocks.append(spare_block)
            block_begins.append(len(blocks))
        if len(sampled) == 1:
            sampled.append(sampled[0])
            inverse_temperature.append(inverse_temperature[0])
    return StepInput(
        tokens=_view(tokens, np.int64),
        positions=_view(positions, np.int64),
        past_lens=_view(past, np.int32),
        begins=_view(begins, np.int32),
        block_indices=_view(blocks, np.int32),
        block_begins=_view(block_begins, np.int32),
        max_context_len=longest,
        sampled=_view(sampled, np.int64),
        inverse_temperature=_view(inverse_temperature, np.float32),
    )


def _view(values: array, kind: type[_Number]) -> npt.NDArray[_Number]:
    return np.frombuffer(values, kind) if values else np.empty(0, kind)
