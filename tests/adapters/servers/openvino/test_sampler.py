"""Tokens come with the probabilities the rules give them, whichever way they are found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.paged_model import output_of

from tramontane.adapters.servers.openvino.sampler import (
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
from tramontane.foundation.nouns import Sampling

VOCABULARY = 300
GRID = (np.arange(3000) + 0.5) / 3000


def bits_of(tokens: set[int]) -> np.ndarray:
    bits = np.zeros(-(-VOCABULARY // 32), np.uint32)
    for token in tokens:
        bits[token // 32] |= np.uint32(1 << (token % 32))
    return bits


def expected_distribution(logits: np.ndarray, rules: SamplingRules) -> np.ndarray:
    """The definition, in plain words: temperature, min_p, top_k, top_p, renormalised."""
    mass = np.exp((logits.astype(np.float64) - logits.max()) / rules.temperature)
    mass /= mass.sum()
    order = sorted(range(mass.size), key=lambda token: (-mass[token], token))
    order = [token for token in order if mass[token] >= rules.min_p * mass.max()]
    order = order[: rules.top_k] if rules.top_k else order
    whole, sum_so_far, kept = sum(mass[token] for token in order), 0.0, []
    for token in order:
        kept.append(token)
        sum_so_far += mass[token]
        if rules.top_p < 1.0 and sum_so_far >= rules.top_p * whole:
            break
    result = np.zeros(mass.size)
    result[kept] = mass[kept] / mass[kept].sum()
    return result


def rules_strategy() -> st.SearchStrategy[SamplingRules]:
    return st.builds(
        lambda temperature, top_k, top_p, min_p: SamplingRules.of(
            Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
        ),
        st.floats(0.3, 2.0),
        st.sampled_from([None, 0, 1, 5, 64, 100]),
        st.sampled_from([None, 0.1, 0.5, 0.93, 0.999]),
        st.sampled_from([None, 0.001, 0.05, 0.4]),
    )


@settings(max_examples=60, deadline=None)
@given(rules_strategy(), st.integers(0, 1000), st.sampled_from([0.3, 2.0, 6.0]))
def test_draws_have_the_probabilities_of_the_rules(rules: SamplingRules, seed: int, spread: float) -> None:
    logits = np.random.default_rng(seed).normal(0.0, spread, VOCABULARY).astype(np.float32)
    expected = expected_distribution(logits, rules)
    output = output_of(logits[None], np.array([rules.inverse_temperature], np.float32))
    draws = Draws.of([0] * GRID.size, [rules] * GRID.size, GRID.tolist())
    from_candidates = np.bincount(take_drawn(output, draws), minlength=VOCABULARY) / GRID.size
    from_row = np.bincount([take_from_row(logits, rules, aim) for aim in GRID[::10]], minlength=VOCABULARY)
    # An interval of mass p holds p * 3000 grid points, give or take one; rounding may move a cut by a near tie.
    assert np.abs(from_candidates - expected).max() <= 2.5 / GRID.size
    assert np.abs(from_row / GRID[::10].size - expected).max() <= 2.5 / GRID[::10].size


def test_rows_with_unlike_rules_are_drawn_side_by_side_as_alone() -> None:
    logits = np.random.default_rng(3).normal(0.0, 1.0, (6, VOCABULARY)).astype(np.float32)
    kinds = [
        Sampling(temperature=0.7),
        Sampling(temperature=1.3, top_p=0.2),
        Sampling(temperature=1.0, top_k=3),
        Sampling(temperature=1.0, top_k=90, top_p=0.5),
        Sampling(temperature=2.0, min_p=0.5),
        Sampling(temperature=2.0),
    ]
    rules = [SamplingRules.of(kind) for kind in kinds]
    output = output_of(logits, np.array([rule.inverse_temperature for rule in rules], np.float32))
    for aim in (0.0, 0.3, 0.77, 0.999999):
        together = take_drawn(output, Draws.of(range(6), rules, [aim] * 6))
        alone = [take_drawn(output, Draws.of([row], [rules[row]], [aim]))[0] for row in range(6)]
        assert together == alone


def test_the_best_token_is_the_smallest_id_among_equals() -> None:
    logits = np.zeros((2, VOCABULARY), np.float32)
    logits[0, [40, 7]] = 5.0
    logits[1, 9] = 1.0
    output = output_of(logits, np.ones(2, np.float32))
    output.top_indices[0, :2] = [40, 7]
    assert take_best(output, np.array([0, 1])) == [7, 9]


def test_numbers_depend_on_seed_choice_and_position_alone() -> None:
    numbers = {
        uniform(seed, choice, position) for seed in (0, -1, 2**70 + 1) for choice in (0, 1) for position in range(50)
    }
    assert len(numbers) == 300
    assert all(0.0 <= number < 1.0 for number in numbers)
    assert uniform(5, 1, 2) == uniform(5, 1, 2)
    many = [uniform(1, 0, position) for position in range(4000)]
    assert abs(np.mean(many) - 0.5) < 0.03


@given(st.sets(st.integers(0, VOCABULARY - 1), max_size=40), st.integers(0, 99))
def test_the_best_allowed_token_is_that_of_the_masked_row(allowed: set[int], seed: int) -> None:
    logits = np.round(np.random.default_rng(seed).normal(0.0, 2.0, VOCABULARY)).astype(np.float32)
    output = output_of(logits[None], np.ones(1, np.float32))
    token = best_allowed(output, 0, bits_of(allowed))
    if token is None:
        # Only when no candidate is allowed, or equals of the last one may lie outside.
        assert all(index not in allowed or logits[index] == output.top_values[0, -1] for index in output.top_indices[0])
        return
    mask = allowed_tokens(bits_of(allowed), VOCABULARY)
    masked = np.where(mask, logits, -np.inf).astype(np.float32)
    assert token == take_from_row(masked, SamplingRules.of(Sampling(temperature=0.0)), 0.0)


def test_a_mask_shorter_than_the_vocabulary_allows_nothing_beyond_itself() -> None:
    allowed = allowed_tokens(np.array([0xFFFFFFFF], np.uint32), 40)
    assert allowed[:32].all() and not allowed[32:].any()


def test_log_probabilities_are_the_models_own() -> None:
    logits = np.random.default_rng(1).normal(0.0, 2.0, (1, VOCABULARY)).astype(np.float32)
    expected = logits[0] - np.log(np.exp(logits[0].astype(np.float64)).sum())
    found = logprobs_of(output_of(logits, np.ones(1, np.float32)), 0, 17, 5)
    assert found.taken == pytest.approx(expected[17], abs=1e-5)
    best = np.argsort(-expected)[:5]
    assert [token for token, _ in found.top] == best.tolist()
    assert [value for _, value in found.top] == pytest.approx(expected[best].tolist(), abs=1e-5)


def test_defaults_are_temperature_one_without_cuts() -> None:
    rules = SamplingRules.of(Sampling())
    assert rules.temperature == 1.0 and not rules.cuts and not rules.adjusts and not rules.greedy
    assert SamplingRules.of(Sampling(temperature=1e-9)).greedy
