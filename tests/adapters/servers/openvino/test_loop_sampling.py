"""What a caller asks of sampling reaches every token of an ordinary answer: bias, and penalties for what was said."""

import numpy as np
import pytest
from tests.adapters.servers.openvino.loops import loop_over
from tests.fakes.paged_model import FakePagedModel
from tests.fakes.token_requests import answer, token_request

from tramontane.adapters.servers.openvino.sampler import SamplingRules, take_from_row, uniform
from tramontane.foundation.nouns import Sampling

PROMPT = [4, 8, 15]


def reference(model: FakePagedModel, sampling: Sampling, count: int) -> list[int]:
    """The greedy answer with each rule written out token by token."""
    said: list[int] = []
    for _ in range(count):
        row = np.array(model.logits_for([*PROMPT, *said]), np.float64)
        for token, bias in sampling.logit_bias.items():
            row[token] += bias
        for token in {*PROMPT, *said}:
            factor = sampling.repetition_penalty or 1.0
            row[token] = row[token] / factor if row[token] > 0 else row[token] * factor
        for token in set(said):
            row[token] -= sampling.presence_penalty + sampling.frequency_penalty * said.count(token)
        said.append(int(row.argmax()))
    return said


@pytest.mark.parametrize(
    "rules",
    [
        {"logit_bias": {7: 100.0}},
        {"logit_bias": {7: 3.0, 9: -100.0}},
        {"presence_penalty": 2.0},
        {"frequency_penalty": 1.5},
        {"repetition_penalty": 3.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("speculate", [True, False])
def test_bias_and_penalties_reach_every_token(rules: dict, speculate: bool) -> None:
    model = FakePagedModel(window=1)
    sampling = Sampling(temperature=0.0, **rules)
    expected = reference(model, sampling, 40)
    assert expected != model.greedy(PROMPT, 40), "the rule changes nothing here, so nothing would be tested"
    assert answer(loop_over(model, speculate=speculate), token_request("r", PROMPT, 40, sampling=sampling)) == expected


def test_a_drawn_answer_under_a_rule_draws_anew_at_every_position() -> None:
    model, sampling = FakePagedModel(window=1), Sampling(temperature=1.5, logit_bias={7: 0.5})
    rules, expected = SamplingRules.of(sampling), list[int]()
    for position in range(40):
        row = np.array(model.logits_for([*PROMPT, *expected]), np.float32)
        row[7] += 0.5
        expected.append(take_from_row(row, rules, uniform(5, 0, position)))
    request = token_request("r", PROMPT, 40, sampling=sampling, seed=5)
    assert answer(loop_over(model), request) == expected
