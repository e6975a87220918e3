"""What goes into one step of a paged model and what comes out.

Knows the shapes, types and units of a step; knows nothing of OpenVINO or of how a batch is chosen.
The batching loop builds `StepInput`, the paged model answers with `StepOutput`.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tramontane.adapters.servers.openvino.errors import StepRefused

Int64s: TypeAlias = npt.NDArray[np.int64]
Int32s: TypeAlias = npt.NDArray[np.int32]
Float32s: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StepInput:
    """One step over S sequences whose T new tokens lie end to end.

    A sequence's new tokens are written into its blocks at `past_lens[s]`, so those blocks must already be in its
    table. `sampled` are rows of T whose next-token distribution is wanted; it may be empty, name several rows of one
    sequence, and be in any order. The arrays are read in place: they must be
    contiguous and must not change until the step is done.
    """

    tokens: Int64s  # [T] token ids
    positions: Int64s  # [T] position of each token in its sequence
    past_lens: Int32s  # [S] tokens of each sequence already in the cache
    begins: Int32s  # [S+1] where each sequence's tokens begin in T, ending with T
    block_indices: Int32s  # [B] block tables end to end, each covering past and new tokens
    block_begins: Int32s  # [S+1] where each sequence's table begins in B, ending with B
    max_context_len: int  # longest past plus new tokens over the sequences
    sampled: Int64s  # [R] rows of T to put through the head
    inverse_temperature: Float32s  # [R] factor on the logits for `lse_scaled`; 1.0 leaves them alone


@dataclass(frozen=True, slots=True)
class StepOutput:
    """Views into the model's own memory: valid until the next step starts, and not to be written to.

    C is the number of candidates the graph keeps, 64 or the vocabulary where that is smaller. The log-probability of
    candidate c of row r is `top_values[r, c] - lse[r]`; at a temperature it is
    `top_values[r, c] * inverse_temperature[r] - lse_scaled[r]`.
    """

    top_values: Float32s  # [R, C] largest logits, descending
    top_indices: Int32s  # [R, C] their token ids
    lse: Float32s  # [R] log-sum-exp of the logits
    lse_scaled: Float32s  # [R] log-sum-exp of the logits times inverse_temperature
    logits: Float32s  # [R, V]


def check_step(step: StepInput, block_tokens: int, block_count: int, vocab_size: int) -> None:
    """Refuse what would make the native kernels read or write outside their memory. Raises StepRefused."""
    count, sequences = len(step.tokens), len(step.past_lens)
    if not count or not sequences or len(step.positions) != count:
        raise StepRefused(
            f"step: {count} tokens, {len(step.positions)} positions, {sequences} sequences; none may lack"
        )
    if len(step.inverse_temperature) != len(step.sampled):
        raise StepRefused("step: inverse_temperature and sampled must have one entry per row")
    _check_range("tokens", step.tokens, vocab_size)
    _check_range("sampled", step.sampled, count)
    _check_range("block_indices", step.block_indices, block_count)
    _check_offsets("begins", step.begins, sequences, count)
    _check_offsets("block_begins", step.block_begins, sequences, len(step.block_indices))
    lengths = step.past_lens + np.diff(step.begins)
    if (step.past_lens < 0).any() or (np.diff(step.block_begins) * block_tokens < lengths).any():
        raise StepRefused("step: a sequence's block table is shorter than its past and new tokens")
    if step.max_context_len < lengths.max():
        raise StepRefused(f"step: max_context_len {step.max_context_len} is below {lengths.max()}")


def _check_range(name: str, values: npt.NDArray[np.integer], end: int) -> None:
    if len(values) and not (values.min() >= 0 and values.max() < end):
        raise StepRefused(f"step: {name} must lie in [0, {end})")


def _check_offsets(name: str, values: Int32s, sequences: int, end: int) -> None:
    if len(values) != sequences + 1 or values[0] != 0 or values[-1] != end or (np.diff(values) <= 0).any():
        raise StepRefused(f"step: {name} must rise from 0 to {end} in {sequences} steps")
