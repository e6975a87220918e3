"""Which token is taken, given what a step brought for a row.

Most rows are settled from the graph's best candidates and its log-sum-exp; the whole row is read only when those
cannot prove the answer. Order of the rules: grammar and end-token masks, bias, penalties, temperature, then min_p, top_k
and top_p, each over what the one before left. Randomness is a function of (seed, choice, position), so an answer does
not depend on what it was batched with. Log-probabilities are those of the model itself: natural logs at temperature 1
before any mask, bias or penalty. Knows no sequence and no cache; `loop` calls it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from struct import pack

import numpy as np
import numpy.typing as npt

from tramontane.adapters.servers.openvino.steps import Float32s, StepOutput
from tramontane.adapters.servers.tokens import TokenLogprobs
from tramontane.foundation.nouns import Sampling

_GREEDY_BELOW = 1e-5
_MASK64 = (1 << 64) - 1
_PIECE = 512
_CONTENDER = 1e-3
_TINY = float(np.finfo(np.float32).tiny)
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SamplingRules:
    """A request's `Sampling` with every default filled in: temperature 1, no cut. `top_k` 0 means no cut.

    `adjusts` says that some logits are changed, so that candidates alone prove nothing.
    """

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition: float
    presence: float
    frequency: float
    bias: dict[int, float]

    @classmethod
    def of(cls, sampling: Sampling) -> "SamplingRules":
        temperature = 1.0 if sampling.temperature is None else sampling.temperature
        return cls(
            temperature=temperature if temperature > _GREEDY_BELOW else 0.0,
            top_k=max(0, sampling.top_k or 0),
            top_p=1.0 if sampling.top_p is None else sampling.top_p,
            min_p=sampling.min_p or 0.0,
            repetition=1.0 if sampling.repetition_penalty is None else sampling.repetition_penalty,
            presence=sampling.presence_penalty,
            frequency=sampling.frequency_penalty,
            bias=dict(sampling.logit_bias),
        )

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0

    @property
    def inverse_temperature(self) -> float:
        return 1.0 if self.greedy else 1.0 / self.temperature

    @property
    def penalises(self) -> bool:
        return self.repetition != 1.0 or self.presence != 0.0 or self.frequency != 0.0

    @property
    def only_lowers(self) -> bool:
        """Whether penalties can do nothing but lower a logit."""
        return self.repetition >= 1.0 and self.presence >= 0.0 and self.frequency >= 0.0

    @property
    def adjusts(self) -> bool:
        return bool(self.bias) or self.penalises

    @property
    def cuts(self) -> bool:
        """Whether some tokens are ruled out by rank or mass."""
        return self.top_k > 0 or self.top_p < 1.0 or self.min_p > 0.0


def uniform(seed: int, choice: int, position: int) -> float:
    """A number in [0, 1) that depends on nothing but its arguments; 53 bits of a keyed digest."""
    digest = blake2b(pack("<QII", seed & _MASK64, choice, position), digest_size=8, person=b"sample").digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def take_best(output: StepOutput, rows: npt.NDArray[np.intp]) -> list[int]:
    """The likeliest token of each row, the smallest id among equals."""
    values, indices = output.top_values[rows], output.top_indices[rows]
    if values.shape[1] > 1 and (values[:, 0] == values[:, 1]).any():
        tied = values == values[:, :1]
        return np.where(tied, indices, np.iinfo(np.int32).max).min(axis=1).tolist()
    return indices[:, 0].tolist()


@dataclass(slots=True)
class Draws:
    """Rows that are sampled without masks or adjusted logits, as columns: [D] each."""

    rows: npt.NDArray[np.intp]
    rules: list[SamplingRules]
    uniforms: Floats
    inverse_temperature: Floats
    top_k: npt.NDArray[np.int64]
    top_p: Floats
    min_p: Floats
    any_cut: bool

    @classmethod
    def of(cls, rows: Sequence[int], rules: list[SamplingRules], uniforms: Sequence[float]) -> "Draws":
        return cls(
            rows=np.array(rows, np.intp),
            rules=rules,
            uniforms=np.array(uniforms),
            inverse_temperature=np.array([rule.inverse_temperature for rule in rules]),
            top_k=np.array([rule.top_k for rule in rules], np.int64),
            top_p=np.array([rule.top_p for rule in rules]),
            min_p=np.array([rule.min_p for rule in rules]),
            any_cut=any(rule.cuts for rule in rules),
        )


def take_drawn(output: StepOutput, draws: Draws) -> list[int]:
    """A token for each row, drawn from the candidates where they prove the answer, else from the whole row."""
    rows = draws.rows
    scaled = output.top_values[rows] * draws.inverse_temperature[:, None] - output.lse_scaled[rows, None]
    mass = np.exp(scaled, dtype=np.float64)
    cumulated = mass.cumsum(axis=1)
    width = mass.shape[1]
    kept, total = _cut_candidates(draws, mass, cumulated) if draws.any_cut else (None, None)
    aims = draws.uniforms if total is None else draws.uniforms * total
    places = (cumulated <= aims[:, None]).sum(axis=1)
    if kept is not None:
        # Rounding may put the aim at the very end of what is kept.
        places = np.where(kept <= width, np.minimum(places, kept - 1), places)
    settled = places < width if kept is None else (places < width) & (kept >= 0)
    tokens = output.top_indices[rows, np.minimum(places, width - 1)].tolist()
    for draw in np.flatnonzero(~settled).tolist():
        row, rule = int(rows[draw]), draws.rules[draw]
        if rule.cuts:
            tokens[draw] = take_from_row(output.logits[row], rule, float(draws.uniforms[draw]))
        else:
            tokens[draw] = _take_beyond(output, row, rule, float(draws.uniforms[draw]), float(cumulated[draw, -1]))
    return tokens


def _cut_candidates(draws: Draws, mass: Floats, cumulated: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """How many candidates each row keeps and their mass; -1 where the cut may lie beyond the candidates.

    A row that cuts nothing keeps width + 1, "more than all candidates", with mass 1.
    """
    width = mass.shape[1]
    least = draws.min_p[:, None] * mass[:, :1]
    above = (mass >= least).sum(axis=1)
    everything = width + 1
    kept = np.where((draws.min_p > 0) & (above < width), above, everything)
    kept = np.where((draws.top_k > 0) & (draws.top_k <= width), np.minimum(kept, draws.top_k), kept)
    unproven = (kept == everything) & ((draws.min_p > 0) | (draws.top_k > 0))
    here = np.arange(len(kept))
    total = np.where(kept <= width, cumulated[here, np.minimum(kept, width) - 1], 1.0)
    aim = draws.top_p * total
    nucleus = (cumulated < aim[:, None]).sum(axis=1) + 1
    cuts_mass = draws.top_p < 1.0
    kept = np.where(cuts_mass, np.minimum(kept, nucleus), kept)
    unproven |= cuts_mass & (kept > width)
    total = np.where(kept <= width, cumulated[here, np.minimum(kept, width) - 1], 1.0)
    return np.where(unproven, -1, kept), total


def _take_beyond(output: StepOutput, row: int, rules: SamplingRules, aim: float, candidates_mass: float) -> int:
    """The draw fell past the candidates: choose among all other tokens, in the order of their ids."""
    mass = output.logits[row] * np.float32(rules.inverse_temperature)
    mass -= output.lse_scaled[row]
    np.exp(mass, out=mass)
    mass[output.top_indices[row]] = 0.0
    return _draw(mass, (aim - candidates_mass) / (1.0 - candidates_mass), otherwise=int(output.top_indices[row, -1]))


def _draw(mass: Float32s, fraction: float, otherwise: int) -> int:
    """The index at which the running sum of `mass` [V] passes `fraction` of the whole; `otherwise` if all is zero.

    Sums are taken piece by piece, so that only one piece is ever walked to the end.
    """
    starts = np.arange(0, mass.size, _PIECE)
    sums = np.add.reduceat(mass, starts, dtype=np.float64).cumsum()
    if not sums[-1] > 0.0:
        return otherwise
    aim = min(max(fraction, 0.0), 1.0) * sums[-1]
    # Rounding may put the aim at the very end; the last piece and index with any mass are meant then.
    piece = min(int(np.searchsorted(sums, aim, side="right")), int(np.searchsorted(sums, sums[-1], side="left")))
    inner = mass[piece * _PIECE : (piece + 1) * _PIECE].cumsum(dtype=np.float64)
    rest = aim - (sums[piece - 1] if piece else 0.0)
    place = min(int(np.searchsorted(inner, rest, side="right")), int(np.searchsorted(inner, inner[-1], side="left")))
    return piece * _PIECE + place


def take_from_row(logits: Float32s, rules: SamplingRules, aim: float) -> int:
    """Choose from a whole row whose masks (-inf), bias and penalties are in place. `aim` is uniform in [0, 1)."""
    if rules.greedy:
        return int(logits.argmax())
    mass = np.exp((logits - logits.max()) * np.float32(rules.inverse_temperature))
    if not rules.cuts:
        return _draw(mass, aim, otherwise=int(logits.argmax()))
    least = max(rules.min_p, _TINY)
    # Sorting a whole row costs more than a small model's step, and the first few nearly always decide.
    for floor in (max(least, _CONTENDER), least):
        ids = np.flatnonzero(mass >= floor)
        order = ids[np.argsort(-mass[ids], kind="stable")]
        lighter = float(mass[(mass < floor) & (mass >= least)].sum(dtype=np.float64))
        place = place_among(mass[order], rules, aim, (lighter, lighter) if floor > least else None)
        if place is not None:
            return int(order[place])
    raise AssertionError("all tokens that may be taken were looked at")


def place_among(mass: Float32s, rules: SamplingRules, aim: float, lighter: tuple[float, float] | None) -> int | None:
    """Where the token drawn stands among the heaviest, whose mass over the best one's is given in descending order.

    `lighter` is the mass of all others, at least and at most; None where no other may be taken. None when another could
    be meant, or what the others have decides.
    """
    kept = int((mass >= max(rules.min_p, _TINY)).sum())
    if kept < mass.size:
        lighter = None
    if rules.top_k and rules.top_k <= kept:
        kept, lighter = rules.top_k, None
    cumulated = mass[:kept].cumsum(dtype=np.float64)
    if rules.top_p < 1.0:
        least, most = lighter or (0.0, 0.0)
        if rules.top_k:
            least = 0.0  # some of the others are cut off by rank
        nucleus, widest = (
            int(np.searchsorted(cumulated, rules.top_p * (cumulated[-1] + rest), side="left")) + 1
            for rest in (least, most)
        )
        if nucleus != widest or nucleus > kept:
            return None
        kept = nucleus
    elif lighter is not None:
        return None
    return min(int(np.searchsorted(cumulated[:kept], aim * cumulated[kept - 1], side="right")), kept - 1)


def allowed_tokens(mask: npt.NDArray[np.uint32], vocabulary: int) -> Bools:
    """A bit mask over the vocabulary as booleans [V]; tokens the mask does not reach are not allowed."""
    bits = np.unpackbits(np.ascontiguousarray(mask).view(np.uint8), count=None, bitorder="little")
    allowed = np.zeros(vocabulary, np.bool_)
    reach = min(vocabulary, bits.size)
    allowed[:reach] = bits[:reach]
    return allowed


def best_allowed(output: StepOutput, row: int, mask: npt.NDArray[np.uint32]) -> int | None:
    """The likeliest candidate a bit mask allows, the smallest id among equals; None when the candidates cannot tell."""
    indices = output.top_indices[row]
    words = indices >> 5
    reach = words < mask.size
    bits = (mask[np.where(reach, words, 0)] >> (indices & 31).astype(np.uint32)) & 1
    allowed = np.flatnonzero(bits.astype(np.bool_) & reach)
    if not allowed.size:
        return None
    values = output.top_values[row]
    best = values[allowed[0]]
    if best == values[-1] and output.logits.shape[1] > values.size:
        return None
    return int(indices[allowed][values[allowed] == best].min())


def logprobs_of(output: StepOutput, row: int, token: int, k: int) -> TokenLogprobs:
    """What the model itself gave the token taken, and its `k` best (at most as many as the graph keeps)."""
    lse = float(output.lse[row])
    values, indices = output.top_values[row, :k].tolist(), output.top_indices[row, :k].tolist()
    top = [(index, value - lse) for index, value in zip(indices, values, strict=True)]
    return TokenLogprobs(taken=float(output.logits[row, token]) - lse, top=top)
