"""Builds steps for a paged model from sequences and their block tables, as a batching loop would."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tramontane.adapters.servers.openvino.steps import StepInput


@dataclass
class Line:
    """One sequence: its block table and how many of its tokens are in the cache."""

    blocks: list[int]
    past: int = 0
    tokens: list[int] = field(default_factory=list)


def step_of(
    lines: Sequence[tuple[Line, list[int]]], block_tokens: int, sampled: Sequence[int], temperature: float = 1.0
) -> StepInput:
    """One step giving each line its new tokens; advances the lines."""
    tokens, positions, begins, tables, table_begins, past = [], [], [0], [], [0], []
    for line, new in lines:
        used = -(-(line.past + len(new)) // block_tokens)
        tokens += new
        positions += range(line.past, line.past + len(new))
        begins.append(len(tokens))
        tables += line.blocks[:used]
        table_begins.append(len(tables))
        past.append(line.past)
        line.past += len(new)
        line.tokens += new
    return StepInput(
        tokens=np.array(tokens, np.int64),
        positions=np.array(positions, np.int64),
        past_lens=np.array(past, np.int32),
        begins=np.array(begins, np.int32),
        block_indices=np.array(tables, np.int32),
        block_begins=np.array(table_begins, np.int32),
        max_context_len=max(line.past for line, _ in lines),
        sampled=np.array(sampled, np.int64),
        inverse_temperature=np.full(len(sampled), 1 / temperature, np.float32),
    )
