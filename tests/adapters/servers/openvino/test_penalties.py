"""Penalties and bias: what they change, and that the candidates lead to the token the whole row leads to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fakes.paged_model import output_of

from tramontane.adapters.servers.openvino.penalties import Seen, adjusted_row, take_penalised
from tramontane.adapters.servers.openvino.sampler import SamplingRules, take_from_row
from tramontane.foundation.nouns import Sampling

VOCABULARY = 300
AIMS = np.linspace(0.0, 0.9999, 21).tolist()
EMBEDDED_MODELS = Sampling(temperature=0.2, top_p=0.9, repetition_penalty=1.1)


def rules_strategy() -> st.SearchStrategy[SamplingRules]:
    cuts = st.builds(
        lambda temperature, top_k, top_p, min_p: SamplingRules.of(
            Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
        ),
        st.sampled_from([0.0, 0.05, 0.2, 0.7, 1.0, 2.0]),
        st.sampled_from([0, 1, 5, 64, 100]),
        st.sampled_from([1.0, 0.1, 0.5, 0.9, 0.999]),
        st.sampled_from([0.0, 0.001, 0.05, 0.4]),
    )
    return st.builds(
        lambda rules, repetition, presence, frequency: replace(
            rules, repetition=repetition, presence=presence, frequency=frequency
        ),
        cuts,
        st.sampled_from([1.0, 1.1, 1.5, 0.8]),
        st.sampled_from([0.0, 0.5, -0.5]),
        st.sampled_from([0.0, 0.25]),
    )


def seen_strategy() -> st.SearchStrategy[Seen]:
    tokens = st.integers(0, VOCABULARY - 1)
    return st.builds(Seen, st.frozensets(tokens, max_size=80), st.dictionaries(tokens, st.integers(1, 9), max_size=80))


@settings(max_examples=400, deadline=None)
@given(rules_strategy(), seen_strategy(), st.integers(0, 10_000), st.sampled_from([0.3, 2.0, 8.0]), st.booleans())
@example(SamplingRules.of(EMBEDDED_MODELS), Seen(frozenset(range(40)), {}), 1, 8.0, True)
def test_candidates_lead_where_the_whole_row_leads(
    rules: SamplingRules, seen: Seen, seed: int, spread: float, coarse: bool
) -> None:
    """`coarse` logits tie often."""
    logits = np.random.default_rng(seed).normal(0.0, spread, VOCABULARY).astype(np.float32)
    logits = np.round(logits) if coarse else logits
    output = output_of(logits[None], np.array([rules.inverse_temperature], np.float32))
    row = adjusted_row(logits, rules, seen, None)
    for aim in AIMS:
        token = take_penalised(output, 0, rules, seen, aim)
        assert token is None or token == take_from_row(row, rules, aim)


def test_candidates_suffice_for_text_of_a_sure_model() -> None:
    """What the cheap way is for: peaked rows, many tokens seen, the best one among them."""
    rules, random = SamplingRules.of(EMBEDDED_MODELS), np.random.default_rng(5)
    proven = 0
    for _ in range(200):
        logits = random.normal(0.0, 2.0, 4096).astype(np.float32)
        logits[random.integers(0, 4096, 8)] += random.uniform(6.0, 14.0, 8).astype(np.float32)
        best = np.argsort(-logits)[:20].tolist()
        output = output_of(logits[None], np.array([rules.inverse_temperature], np.float32))
        proven += take_penalised(output, 0, rules, Seen(frozenset(best[:3]), {best[5]: 2}), 0.4) is not None
    assert proven > 180


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0.0, logit_bias={290: 30.0}),
        Sampling(temperature=0.0, repetition_penalty=0.5),
        Sampling(temperature=0.0, presence_penalty=-2.0),
        Sampling(temperature=1.0, repetition_penalty=1.1),
    ],
    ids=str,
)
def test_what_may_lift_a_token_or_cuts_nothing_is_left_to_the_whole_row(sampling: Sampling) -> None:
    logits = np.random.default_rng(2).normal(0.0, 2.0, VOCABULARY).astype(np.float32)
    output = output_of(logits[None], np.ones(1, np.float32))
    assert take_penalised(output, 0, SamplingRules.of(sampling), Seen({1}, {2: 1}), 0.5) is None


def test_bias_and_penalties_change_what_they_name() -> None:
    logits = np.array([2.0, -1.0, 4.0, 0.5, 1.0], np.float32)
    sampling = Sampling(
        temperature=0.0, logit_bias={4: 10.0}, repetition_penalty=2.0, presence_penalty=0.5, frequency_penalty=0.25
    )
    row = adjusted_row(logits, SamplingRules.of(sampling), Seen([0, 1], {2: 3}), None)
    assert row.tolist() == pytest.approx([1.0, -2.0, 4.0 / 2 - 0.5 - 0.75, 0.5, 11.0])
    assert logits.tolist() == [2.0, -1.0, 4.0, 0.5, 1.0]


def test_a_mask_rules_out_whatever_the_penalties_left() -> None:
    row = adjusted_row(
        np.array([1.0, 3.0], np.float32),
        SamplingRules.of(Sampling(temperature=0.0, presence_penalty=1.0)),
        Seen((), {0: 1}),
        np.array([True, False]),
    )
    assert row.tolist() == [0.0, -np.inf]
