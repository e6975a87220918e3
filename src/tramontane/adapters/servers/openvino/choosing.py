"""The tokens one step brings: which rows of its output are settled together and which one by one.

Joins `sampler` to the rows of a batch. Rows without masks, bias or penalties are settled in one go over all sequences;
the rest one after the other, because each token changes the next row's rules. Called by `loop`.
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tramontane.adapters.servers.openvino.batch import Row
from tramontane.adapters.servers.openvino.penalties import Seen, adjusted_row, take_penalised
from tramontane.adapters.servers.openvino.sampler import (
    Bools,
    Draws,
    SamplingRules,
    allowed_tokens,
    best_allowed,
    logprobs_of,
    take_best,
    take_drawn,
    take_from_row,
    uniform,
)
from tramontane.adapters.servers.openvino.sequence import Sequence
from tramontane.adapters.servers.openvino.steps import StepOutput
from tramontane.adapters.servers.tokens import TokenLogprobs


class NothingAllowed(Exception):
    """A grammar and the model's vocabulary have no token in common here: the answer cannot go on."""


@dataclass(slots=True)
class Taken:
    """What one row of a batch brought: tokens in order, a stop token last if there is one, and why the answer ended."""

    tokens: list[int] = field(default_factory=list)
    stopped: bool = False
    reason: str | None = None
    logprobs: list[TokenLogprobs] | None = None


class Chooser:
    """Prepared while the step runs, asked when its output is there. `first` is a row's first sampled row."""

    def __init__(self, rows: Items[Row]) -> None:
        self._first: dict[int, int] = {}
        best: list[int] = []
        drawn: list[int] = []
        rules: list[SamplingRules] = []
        uniforms: list[float] = []
        count = 0
        for place, row in enumerate(rows):
            if not row.sampled:
                continue
            samples = range(count, count + 1 + len(row.guesses))
            self._first[place] = count
            count = samples.stop
            sequence = row.sequence
            if _needs_care(sequence):
                continue
            if sequence.owner.rules.greedy:
                best.extend(samples)
                continue
            drawn.extend(samples)
            rules.extend([sequence.owner.rules] * len(samples))
            request, position = sequence.owner.request, sequence.generated
            uniforms.extend(uniform(request.seed, sequence.index, position + i) for i in range(len(samples)))
        self._best: npt.NDArray[np.intp] = np.array(best, np.intp)
        self._draws = Draws.of(drawn, rules, uniforms) if drawn else None
        self._tokens: list[int] = [-1] * count
        self._output: StepOutput | None = None
        self._finite: list[bool] = []

    def settle(self, output: StepOutput) -> None:
        """Choose for every row that can be chosen together with others."""
        self._output = output
        self._finite = np.isfinite(output.lse).tolist()
        if self._best.size:
            for sample, token in zip(self._best.tolist(), take_best(output, self._best), strict=True):
                self._tokens[sample] = token
        if self._draws is not None:
            for sample, token in zip(self._draws.rows.tolist(), take_drawn(output, self._draws), strict=True):
                self._tokens[sample] = token

    def healthy(self, place: int, row: Row) -> bool:
        """Whether the model gave this row finite probabilities."""
        first = self._first[place]
        return all(self._finite[first : first + 1 + len(row.guesses)])

    def take(self, place: int, row: Row) -> Taken:
        """The tokens of one row: up to and with the first that a guess had wrong or that ends the answer.

        Appends them to the sequence (a stop token is not appended). Raises NothingAllowed, or what the grammar raises.
        """
        assert self._output is not None
        sequence, first = row.sequence, self._first[place]
        request, stop_tokens = sequence.owner.request, sequence.owner.stop_tokens
        taken = Taken(logprobs=None if request.logprobs is None else [])
        room = request.max_tokens - sequence.generated
        for offset in range(1 + len(row.guesses)):
            token = self._tokens[first + offset]
            if token < 0:
                token = _take_with_care(self._output, first + offset, sequence)
            taken.tokens.append(token)
            if token in stop_tokens:
                taken.stopped, taken.reason = True, "stop"
                break
            if taken.logprobs is not None:
                taken.logprobs.append(logprobs_of(self._output, first + offset, token, request.logprobs or 0))
            _record(sequence, token)
            if sequence.constraint is not None and sequence.constraint.complete:
                taken.reason = "stop"
                break
            if len(taken.tokens) == room:
                taken.reason = "length"
                break
            if offset < len(row.guesses) and token != row.guesses[offset]:
                break
        return taken


def _needs_care(sequence: Sequence) -> bool:
    rules = sequence.owner.rules
    return rules.adjusts or sequence.constraint is not None or _bars_the_end(sequence)


def _bars_the_end(sequence: Sequence) -> bool:
    """Whether the answer is still too short to end."""
    return bool(sequence.owner.stop_tokens) and sequence.generated < sequence.owner.request.limits.min_tokens


def _record(sequence: Sequence, token: int) -> None:
    sequence.tokens.append(token)
    if sequence.owner.rules.penalises:
        sequence.counts[token] = sequence.counts.get(token, 0) + 1
    if sequence.constraint is not None:
        sequence.constraint.accept(token)


def _take_with_care(output: StepOutput, sample: int, sequence: Sequence) -> int:
    """The next token under a grammar, a bar on the end, bias or penalties."""
    owner, constraint = sequence.owner, sequence.constraint
    rules, barred = owner.rules, _bars_the_end(sequence)
    aim = uniform(owner.request.seed, sequence.index, sequence.generated)
    seen = Seen(owner.in_prompt, sequence.counts)
    mask = None if constraint is None else constraint.mask()
    token = None
    if mask is None and not barred:
        token = take_penalised(output, sample, rules, seen, aim)
    elif mask is not None and rules.greedy and not rules.adjusts and not barred:
        token = best_allowed(output, sample, mask)
    if token is not None:
        return token
    allowed = _allowed(mask, barred, owner.stop_tokens, output.logits.shape[1])
    return take_from_row(adjusted_row(output.logits[sample], rules, seen, allowed), rules, aim)


def _allowed(
    mask: npt.NDArray[np.uint32] | None, barred: bool, stop_tokens: frozenset[int], vocabulary: int
) -> Bools | None:
    """The tokens [V] a grammar and a bar on the end leave; None for all. Raises NothingAllowed."""
    allowed = None if mask is None else allowed_tokens(mask, vocabulary)
    if barred:
        longer = np.ones(vocabulary, np.bool_) if allowed is None else allowed.copy()
        longer[[token for token in stop_tokens if token < vocabulary]] = False
        # A grammar that can only end wins over the wish for a longer answer.
        allowed = longer if longer.any() else allowed
    if allowed is not None and not allowed.any():
        raise NothingAllowed("the grammar allows no token of this model here; simplify the schema")
    return allowed
