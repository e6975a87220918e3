"""Guesses save steps and change no token; a seeded answer is made without them."""

import random

from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.servers.openvino.loops import FUZZ, loop_over, mixed_loop, requests_like
from tests.fakes.paged_model import FakePagedModel
from tests.fakes.token_requests import GREEDY, answer, run_dry, token_request

from tramontane.foundation.nouns import Sampling


@FUZZ
@given(st.integers(0, 10**6))
def test_guessing_changes_no_token_greedy_or_drawn(seed: int) -> None:
    chance = random.Random(seed)
    sampling = chance.choice(
        [
            GREEDY,
            Sampling(temperature=0.2),
            Sampling(temperature=0.3, top_p=0.9, top_k=chance.choice([3, 80])),
            Sampling(temperature=0.3, frequency_penalty=0.4, repetition_penalty=1.1),
        ]
    )
    answers = []
    for speculate in (True, False):
        again = random.Random(seed)
        model = FakePagedModel(block_count=64, window=1)
        loop = mixed_loop(again, model, speculate=speculate)
        requests = requests_like(again, model, 4, sampling=sampling)
        requests += [token_request("long", [1, 2, 3], 60, sampling=sampling, seed=seed, guess_from=[5, 6, 7])]
        for request in requests:
            loop.submit(request)
        outcome = run_dry(loop)
        answers.append(outcome.tokens)
        positions = sum(spend.decode_positions for spend in outcome.finished.values())
        assert not model.violations
    assert answers[0] == answers[1]
    # Without guesses every position brings a token: all but the first of each choice, which the prompt brings.
    choices = sum(request.n for request in requests)
    assert positions == sum(len(tokens) for tokens in answers[1].values()) - choices


def test_guessing_saves_steps_where_text_repeats() -> None:
    steps = []
    for speculate in (True, False):
        model = FakePagedModel(window=1)
        answer(loop_over(model, speculate=speculate), token_request("r", [4, 8], 150))
        steps.append(len(model.steps))
    assert steps[0] < steps[1] / 2


def test_a_seeded_request_is_never_computed_as_a_lone_row_nor_by_guesses() -> None:
    """On real hardware a lone row rounds differently, so a repeatable answer must not depend on being alone."""
    for sampling, least in ((Sampling(temperature=0.0, seed=3), 2), (Sampling(temperature=0.0), 1)):
        model = FakePagedModel(window=1)
        request = token_request("r", [4, 8], 40, sampling=sampling)
        assert answer(loop_over(model), request) == model.greedy([4, 8], 40)
        assert not model.violations
        assert min(len(step.tokens) for step in model.steps) == least
        assert min(len(step.sampled) for step in model.steps) == least
        assert (len(model.steps) == 40) == (least == 2)
