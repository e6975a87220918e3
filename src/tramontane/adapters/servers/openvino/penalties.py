"""Logits changed by a request's bias and penalties, and the token taken from them.

Penalties that only lower logits leave the order of all others as it was, so the graph's best candidates still prove most
answers; the whole row is walked where they cannot, and where a bias or a mask may lift what is not among them. Both ways
give the same token. Called by `choosing`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from tramontane.adapters.servers.openvino.sampler import Bools, SamplingRules, place_among
from tramontane.adapters.servers.openvino.steps import Float32s, StepOutput

ROUNDING = 1e-4
"""More than single precision loses in a sum of probabilities."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What penalties look at: the prompt's tokens, and how often each token stands in the answer."""

    in_prompt: Collection[int]
    counts: Mapping[int, int]


def adjusted_row(logits: Float32s, rules: SamplingRules, seen: Seen, allowed: Bools | None) -> Float32s:
    """A copy of a row with bias, penalties and mask applied.

    Repetition counts prompt and answer, presence and frequency the answer only.
    """
    row = np.array(logits, np.float32)
    if rules.bias:
        row[list(rules.bias)] += np.array(list(rules.bias.values()), np.float32)
    if rules.penalises:
        repeated = list({*seen.in_prompt, *seen.counts})
        row[repeated] = _lowered(row[repeated], rules, True, _counts(repeated, rules, seen))
    if allowed is not None:
        row[~allowed] = -np.inf
    return row


def take_penalised(output: StepOutput, row: int, rules: SamplingRules, seen: Seen, aim: float) -> int | None:
    """The token `take_from_row` would take from the adjusted row; None when the candidates cannot prove it."""
    if rules.bias or not rules.only_lowers or not (rules.greedy or rules.cuts):
        return None
    values, ids = output.top_values[row], output.top_indices[row]
    last = values[-1] if values.size < output.logits.shape[1] else np.float32(-np.inf)
    tokens = ids.tolist()
    repeated = np.array([token in seen.counts or token in seen.in_prompt for token in tokens], np.bool_)
    lowered = _lowered(values, rules, repeated, _counts(tokens, rules, seen))
    order = np.lexsort((ids, -lowered))
    ranked = lowered[order]
    # What is not among the candidates had at most the last one's logit, and has no more now.
    proven = int((ranked > last).sum())
    if not proven:
        return None
    if rules.greedy:
        return int(ids[order[0]])
    mass = np.exp((ranked[:proven] - ranked[0]) * np.float32(rules.inverse_temperature))
    lighter = None
    if proven < output.logits.shape[1]:
        lighter = (0.0, _rest(output, row, rules, float(ranked[0]), values[lowered > last]))
    place = place_among(mass, rules, aim, lighter)
    return None if place is None else int(ids[order[place]])


def _rest(output: StepOutput, row: int, rules: SamplingRules, best: float, proven: Float32s) -> float:
    """At most this mass, over that of the best token, lies outside the proven candidates, whose own logits are given."""
    scale = rules.inverse_temperature
    outside = output.logits.shape[1] - proven.size
    each_at_most = outside * np.exp(min((float(output.top_values[row, -1]) - best) * scale, 0.0))
    normaliser = float(output.lse_scaled[row])
    before = 1.0 - np.exp(proven * scale - normaliser, dtype=np.float64).sum() + ROUNDING
    together_at_most = max(before, 0.0) * np.exp(min(normaliser - best * scale, 700.0))
    return float(min(each_at_most, together_at_most))


def _lowered(values: Float32s, rules: SamplingRules, repeated: Bools | bool, counts: Float32s | None) -> Float32s:
    """Logits with penalties applied, as a copy; `repeated` stand in prompt or answer, `counts` says how often there."""
    lowered = np.array(values, np.float32)
    if rules.repetition != 1.0:
        penalised = np.where(lowered > 0, lowered / rules.repetition, lowered * rules.repetition)
        lowered = np.where(repeated, penalised, lowered).astype(np.float32)
    if counts is not None:
        lowered -= np.where(counts > 0, rules.presence + rules.frequency * counts, 0.0).astype(np.float32)
    return lowered


def _counts(tokens: list[int], rules: SamplingRules, seen: Seen) -> Float32s | None:
    """How often each of `tokens` stands in the answer; None where no penalty asks for it."""
    if not (rules.presence or rules.frequency):
        return None
    return np.array([seen.counts.get(token, 0) for token in tokens], np.float32)
