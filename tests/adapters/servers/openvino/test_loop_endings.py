"""How an answer of the loop ends: its end tokens, its caller, its grammar, or a fault that stays its own."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.adapters.servers.openvino.loops import all_blocks_free, loop_over
from tests.fakes.paged_model import FakePagedModel
from tests.fakes.token_requests import GREEDY, OnlyThese, Outcome, answer, run_dry, token_request

from tramontane.foundation.errors import EngineFailed
from tramontane.foundation.nouns import Limits, Sampling


def test_a_choice_the_caller_ends_finishes_its_request() -> None:
    model = FakePagedModel()
    loop = loop_over(model, speculate=False)
    loop.submit(token_request("r", range(6), 50, n=2))
    outcome = Outcome()
    for _ in range(4):
        outcome.add(loop.step())
    loop.begin_step()
    loop.end_choice("r", 0)
    outcome.add(loop.finish_step())
    assert len(outcome.tokens["r", 0]) == 4
    outcome.add(loop.step())
    loop.end_choice("r", 1)
    assert loop.has_work
    spend = run_dry(loop, outcome).finished["r"]
    assert len(outcome.tokens["r", 0]) == 4 < len(outcome.tokens["r", 1])
    assert spend.generated_tokens == sum(len(tokens) for tokens in outcome.tokens.values())
    assert all_blocks_free(loop)


def test_an_end_token_ends_the_answer_and_is_counted_but_not_shown() -> None:
    model = FakePagedModel()
    whole = model.greedy(range(6), 10)
    loop = loop_over(model)
    loop.submit(token_request("r", range(6), 10, stop_tokens=frozenset({whole[4]}), logprobs=2))
    outcome = run_dry(loop)
    assert outcome.tokens["r", 0] == whole[:4]
    assert outcome.reasons["r", 0] == "stop"
    assert outcome.finished["r"].generated_tokens == 5
    assert [len(choice.top) for choice in outcome.logprobs["r", 0]] == [2] * 4


def test_end_tokens_can_be_ignored_or_put_off() -> None:
    model = FakePagedModel()
    whole = model.greedy(range(6), 10)
    stop = frozenset({whole[2]})
    ignored = token_request("r", range(6), 10, stop_tokens=stop, limits=Limits(ignore_eos=True))
    assert answer(loop_over(model), ignored) == whole
    loop = loop_over(model)
    loop.submit(token_request("r", range(6), 40, stop_tokens=stop, limits=Limits(min_tokens=6)))
    outcome = run_dry(loop)
    tokens = outcome.tokens["r", 0]
    assert tokens[:2] == whole[:2]
    assert len(tokens) >= 6 and not set(tokens) & stop


@pytest.mark.parametrize(
    "sampling", [GREEDY, Sampling(temperature=1.0), Sampling(temperature=0.5, logit_bias={3: 4.0})]
)
def test_a_grammar_is_obeyed_and_its_end_is_the_answers(sampling: Sampling) -> None:
    sets = [{1, 2, 3}, {40}, set(range(50, 97)), {7, 8}]
    for speculate in (True, False):
        loop = loop_over(FakePagedModel(), speculate=speculate)
        grammar = OnlyThese(sets, 97)
        loop.submit(token_request("r", [1, 40, 60, 7, 1, 40], 20, constraints=(grammar,), sampling=sampling, seed=4))
        outcome = run_dry(loop)
        tokens = outcome.tokens["r", 0]
        assert len(tokens) == 4 and all(token in allowed for token, allowed in zip(tokens, sets, strict=True))
        assert grammar.taken == tokens and outcome.reasons["r", 0] == "stop"


@pytest.mark.parametrize(
    "grammar",
    [lambda: OnlyThese([{1}, {2}], 97, fail_at=1), lambda: OnlyThese([{1}, set()], 97)],
    ids=["raises", "allows nothing"],
)
def test_a_broken_grammar_fails_its_own_request_only(grammar: Callable[[], OnlyThese]) -> None:
    model = FakePagedModel()
    loop = loop_over(model)
    loop.submit(token_request("bad", range(8), 10, constraints=(grammar(),)))
    loop.submit(token_request("good", range(8), 10))
    outcome = run_dry(loop)
    assert outcome.failed.keys() == {"bad"}
    assert outcome.failed_spend["bad"].prompt_tokens == 8
    assert outcome.tokens["good", 0] == model.greedy(range(8), 10)
    assert all_blocks_free(loop)


def test_a_step_that_raises_fails_its_requests_and_forgets_their_blocks() -> None:
    model = FakePagedModel(fail_at={2})
    loop = loop_over(model, prefill_chunk_tokens=8, max_sequences=1)
    loop.submit(token_request("first", range(40), 4))
    loop.submit(token_request("second", range(40), 4))
    outcome = run_dry(loop)
    assert "out of order" in outcome.failed["first"]
    assert outcome.failed_spend["first"].computed_tokens == 24
    assert outcome.tokens["second", 0] == model.greedy(range(40), 4)
    assert outcome.finished["second"].cached_tokens == 0
    assert not loop.broken and all_blocks_free(loop) and not model.violations


def test_a_loop_whose_steps_keep_failing_says_so() -> None:
    loop = loop_over(FakePagedModel(fail_at=range(10)))
    for index in range(3):
        loop.submit(token_request(f"r{index}", [1, 2], 4))
        assert run_dry(loop).failed
    assert loop.broken
    with pytest.raises(EngineFailed):
        loop.submit(token_request("r", [1, 2], 4))


def test_numbers_that_are_not_numbers_fail_the_request() -> None:
    model = FakePagedModel()
    loop = loop_over(model)
    good = model.logits_for

    def poisoned(context: list[int]) -> Any:
        return good(context) * (float("nan") if context[0] == 5 else 1.0)

    model.logits_for = poisoned  # type: ignore[method-assign]
    loop.submit(token_request("bad", [5, 6], 4))
    loop.submit(token_request("good", [6, 5], 4))
    outcome = run_dry(loop)
    assert "finite" in outcome.failed["bad"]
    assert outcome.reasons["good", 0] == "length"
