"""Whatever is batched, cut, preempted, guessed or cancelled, every answer is what the model says of its own text."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.servers.openvino.loops import FUZZ, all_blocks_free, loop_over, mixed_loop, requests_like
from tests.fakes.paged_model import FakePagedModel
from tests.fakes.token_requests import OnlyThese, Outcome, answer, run_dry, token_request

from tramontane.adapters.servers.openvino.loop import EngineLoop
from tramontane.adapters.servers.openvino.request import TokenRequest
from tramontane.foundation.errors import BadRequest, Conflict, ContextExceeded
from tramontane.foundation.nouns import Sampling, Spend


@FUZZ
@given(st.integers(0, 10**6))
def test_every_choice_gets_the_models_own_answer(seed: int) -> None:
    chance = random.Random(seed)
    model = FakePagedModel(block_count=chance.choice([12, 20, 64]), window=chance.choice([None, 2]))
    loop, outcome = mixed_loop(chance, model), Outcome()
    requests = requests_like(chance, model, 10)
    waiting = list(requests)
    while waiting or loop.has_work:
        if waiting and chance.random() < 0.5:
            loop.submit(waiting.pop())
        outcome.add(loop.step())
    for request in requests:
        for index in range(request.n):
            assert outcome.tokens[request.id, index] == model.greedy(request.prompt, request.max_tokens)
            assert outcome.reasons[request.id, index] == "length"
    assert outcome.finished.keys() == {request.id for request in requests}
    assert not outcome.failed and not model.violations
    assert all_blocks_free(loop)


@dataclass
class Disturbances:
    """Cancels, pauses, resumes and ends requests at random, and remembers which."""

    chance: random.Random
    requests: dict[str, TokenRequest]
    cancelled: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    ended: set[tuple[str, int]] = field(default_factory=set)

    def strike(self, loop: EngineLoop, outcome: Outcome) -> None:
        name = self.chance.choice(sorted(self.requests))
        what = self.chance.choice(["cancel", "pause", "resume", "resume", "end"])
        if what == "cancel" and name not in outcome.finished and loop.cancel(name) is not None:
            self.cancelled.add(name)
        elif what == "pause":
            loop.pause(name)
            self.paused.add(name)
        elif what == "resume":
            loop.resume(name)
        elif what == "end":
            index = self.chance.randrange(self.requests[name].n)
            loop.end_choice(name, index)
            self.ended.add((name, index))

    def resume_all(self, loop: EngineLoop) -> None:
        for name in sorted(self.paused):
            loop.resume(name)
        self.paused.clear()


@FUZZ
@given(st.integers(0, 10**6))
def test_cancelling_pausing_and_ending_anywhere_disturbs_nobody(seed: int) -> None:
    chance = random.Random(seed)
    model = FakePagedModel(block_count=chance.choice([12, 20, 64]), window=chance.choice([None, 2]))
    loop, outcome = mixed_loop(chance, model), Outcome()
    requests = {request.id: request for request in requests_like(chance, model, 10)}
    waiting, disturbances = list(requests.values()), Disturbances(chance, requests)
    while waiting or loop.has_work or disturbances.paused:
        if waiting and chance.random() < 0.5:
            loop.submit(waiting.pop())
        loop.begin_step()
        for _ in range(chance.choice([0, 0, 1, 2])):
            disturbances.strike(loop, outcome)
        report = loop.finish_step()
        assert not any(choice.request_id in disturbances.cancelled for choice in report.choices)
        outcome.add(report)
        if not loop.has_work:
            disturbances.resume_all(loop)
    for (name, index), tokens in outcome.tokens.items():
        whole = model.greedy(requests[name].prompt, requests[name].max_tokens)
        cut_short = name in disturbances.cancelled or (name, index) in disturbances.ended
        assert tokens == (whole[: len(tokens)] if cut_short else whole)
    assert outcome.finished.keys() == requests.keys() - disturbances.cancelled
    assert not model.violations and not outcome.failed
    assert all_blocks_free(loop)


@FUZZ
@given(st.lists(st.integers(0, 96), min_size=1, max_size=60), st.integers(1, 70))
def test_a_prompt_in_chunks_is_the_prompt_whole(prompt: list[int], chunk: int) -> None:
    model = FakePagedModel()
    loop = loop_over(model, prefill_chunk_tokens=chunk)
    assert answer(loop, token_request("r", prompt, 5)) == model.greedy(prompt, 5)
    assert max(len(step.tokens) for step in model.steps[: -(-len(prompt) // chunk)]) == min(chunk, len(prompt))


@FUZZ
@given(st.integers(0, 10**6))
def test_the_account_is_exact(seed: int) -> None:
    chance = random.Random(seed)
    model = FakePagedModel(block_count=chance.choice([20, 64]), window=2)
    loop = mixed_loop(chance, model)
    requests = requests_like(chance, model, 6)
    for request in requests:
        loop.submit(request)
    outcome = run_dry(loop)
    spends = outcome.finished
    positions = sum(len(step.tokens) for step in model.steps)
    reads = sum(int((step.positions + 1).sum()) for step in model.steps)
    assert sum(spend.computed_tokens + spend.decode_positions for spend in spends.values()) == positions
    assert sum(report.prefill_tokens + report.decode_tokens for report in outcome.reports) == positions
    assert sum(spend.cache_reads for spend in spends.values()) == reads
    assert sum(report.cache_reads for report in outcome.reports) == reads
    nanoseconds = sum(spend.prefill_ns + spend.decode_ns for spend in spends.values())
    assert nanoseconds == sum(report.step_ns for report in outcome.reports)
    for request in requests:
        spend = spends[request.id]
        assert spend.prompt_tokens == len(request.prompt)
        assert spend.generated_tokens == request.n * request.max_tokens
        assert spend.cached_tokens + spend.computed_tokens >= spend.prompt_tokens
        assert spend.decode_positions >= request.n * (request.max_tokens - 1)


def test_a_request_cancelled_within_a_step_pays_for_it() -> None:
    model = FakePagedModel()
    loop = loop_over(model, prefill_chunk_tokens=8)
    loop.submit(token_request("r", range(20), 4))
    loop.step()
    loop.begin_step()
    spend = loop.cancel("r")
    assert spend is not None
    assert (spend.prompt_tokens, spend.computed_tokens, spend.generated_tokens) == (20, 16, 0)
    assert spend.prefill_ns > 0
    assert loop.cancel("r") is None
    report = loop.finish_step()
    assert not report.finished and not report.choices and not loop.has_work
    assert all_blocks_free(loop)


def test_an_id_may_be_used_again_while_its_cancelled_step_runs() -> None:
    model = FakePagedModel()
    loop, outcome = loop_over(model), Outcome()
    loop.submit(token_request("r", range(20), 4))
    loop.begin_step()
    loop.cancel("r")
    loop.submit(token_request("r", range(30), 4))
    outcome.add(loop.finish_step())
    run_dry(loop, outcome)
    assert outcome.tokens["r", 0] == model.greedy(range(30), 4)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"prompt": []}, BadRequest),
        ({"prompt": [97]}, BadRequest),
        ({"prompt": [-1]}, BadRequest),
        ({"max_tokens": 0}, BadRequest),
        ({"n": 0}, BadRequest),
        ({"weight": 0}, BadRequest),
        ({"guess_from": [1000]}, BadRequest),
        ({"sampling": Sampling(logit_bias={97: 1.0})}, BadRequest),
        ({"constraints": (OnlyThese([], 97), OnlyThese([], 97))}, BadRequest),
        ({"max_tokens": 244}, ContextExceeded),
        ({"id": "running"}, Conflict),
    ],
)
def test_what_cannot_be_served_is_refused_at_the_door(fields: dict[str, Any], error: type[Exception]) -> None:
    loop = loop_over(FakePagedModel())
    loop.submit(token_request("running", [1], 1))
    request = {"request_id": fields.pop("id", "r"), "prompt": range(10), "max_tokens": 4}
    with pytest.raises(error):
        loop.submit(token_request(**(request | fields)))
    assert run_dry(loop).finished.keys() == {"running"}


def test_the_refusal_for_size_says_both_numbers_and_the_largest_request_runs() -> None:
    model = FakePagedModel(block_count=6)
    loop = loop_over(model)
    with pytest.raises(ContextExceeded, match=r"need 21 tokens.* holds 20"):
        loop.submit(token_request("r", range(10), 12))
    assert answer(loop, token_request("r", range(10), 11)) == model.greedy(range(10), 11)


def test_tokens_generated_count_when_prompts_are_put_in_order() -> None:
    """One share has three answers going, another one behind a longer prompt: the prompts of the latter go first."""
    loop = loop_over(FakePagedModel(), prefill_chunk_tokens=32, max_sequences=16, speculate=False)
    loop.submit(token_request("much", range(4), 100, n=3, share="x"))
    loop.submit(token_request("little", range(30, 60), 100, share="y"))
    for _ in range(20):
        loop.step()
    for name, share in (("x1", "x"), ("y1", "y"), ("y2", "y")):
        loop.submit(token_request(name, [ord(name[0]) % 97, int(name[1]), *range(30)], 2, share=share))
    begun: list[str] = []
    while len(begun) < 3:
        names = {choice.request_id for choice in loop.step().choices} - {"much", "little", *begun}
        begun += sorted(names)
    assert begun == ["y1", "y2", "x1"]


def test_a_report_follows_every_step_and_load_tells_what_waits() -> None:
    loop = loop_over(FakePagedModel(), prefill_chunk_tokens=8)
    assert not loop.has_work and not loop.begin_step() and loop.finish_step().step_ns == 0
    loop.submit(token_request("r", range(20), 2))
    assert loop.load.waiting_prefill_tokens == 20
    loop.begin_step()
    with pytest.raises(RuntimeError, match="finish_step"):
        loop.begin_step()
    report = loop.finish_step()
    assert (report.prefill_tokens, report.decode_tokens, report.choices) == (8, 0, [])
    load = loop.load
    assert (load.running, load.waiting_prefill_tokens, load.progress) == (1, 12, 1)
    assert load.cache_used_tokens >= 20


def test_a_queued_request_cancelled_before_its_first_step_cost_nothing() -> None:
    loop = loop_over(FakePagedModel())
    loop.submit(token_request("r", range(20), 2))
    spend = loop.cancel("r")
    assert spend is not None and spend.queued_ns > 0
    assert spend == Spend(prompt_tokens=20, queued_ns=spend.queued_ns)
    assert not loop.has_work
