"""Whatever is batched, cut, preempted, guessed or cancelled, every answer is what the model says of its own text."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.paged_model import FakePagedModel
from tests.fakes.token_requests import GREEDY, OnlyThese, Outcome, answer, run_dry, token_request

from tramontane.adapters.servers.openvino.loop import EngineLoop
from tramontane.adapters.servers.openvino.request import TokenRequest
from tramontane.foundation.errors import BadRequest, Conflict, ContextExceeded, EngineFailed
from tramontane.foundation.nouns import Limits, Sampling, Spend

FUZZ = settings(max_examples=60, deadline=None)


def loop_over(model: FakePagedModel, **options: Any) -> EngineLoop:
    """A loop whose clock ticks once each time it is read."""
    ticks = iter(range(10**9))
    return EngineLoop(model, **({"clock_ns": lambda: next(ticks)} | options))


def all_blocks_free(loop: EngineLoop) -> bool:
    return not loop._cache.pool.census()[2] and loop.load.cache_used_tokens == 0


def requests_like(chance: random.Random, model: FakePagedModel, count: int, **fields: Any) -> list[TokenRequest]:
    """Requests of mixed lengths with common beginnings, each of which fits the model's cache."""
    common = [chance.randrange(97) for _ in range(24)]
    requests = []
    for index in range(count):
        prompt = common[: chance.randrange(24)] + [chance.randrange(97) for _ in range(chance.randrange(1, 14))]
        room = (model.block_count - 1) * model.block_tokens - len(prompt)
        values = {
            "namespace": chance.choice([b"a", b"b"]),
            "share": chance.choice(["x", "y", "z"]),
            "weight": chance.choice([1, 2]),
            "n": chance.choice([1, 1, 1, 2, 3]),
            "seed": index,
        }
        requests.append(token_request(f"r{index}", prompt, min(chance.randrange(1, 20), room), **(values | fields)))
    return requests


def mixed_loop(chance: random.Random, model: FakePagedModel, **options: Any) -> EngineLoop:
    slots, chunk = chance.choice([1, 2, 4, 8]), chance.choice([1, 3, 8, 32])
    return loop_over(model, **({"max_sequences": slots, "prefill_chunk_tokens": chunk} | options))


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


@FUZZ
@given(st.lists(st.integers(0, 96), min_size=1, max_size=60), st.integers(1, 70))
def test_a_prompt_in_chunks_is_the_prompt_whole(prompt: list[int], chunk: int) -> None:
    model = FakePagedModel()
    loop = loop_over(model, prefill_chunk_tokens=chunk)
    assert answer(loop, token_request("r", prompt, 5)) == model.greedy(prompt, 5)
    assert max(len(step.tokens) for step in model.steps[: -(-len(prompt) // chunk)]) == min(chunk, len(prompt))


def test_a_follow_up_finds_prompt_and_answer_in_the_cache() -> None:
    model = FakePagedModel()
    loop = loop_over(model, speculate=False)
    first = list(range(30))
    reply = answer(loop, token_request("one", first, 11))
    loop.submit(token_request("two", [*first, *reply, 50, 51, 52], 3))
    spend = run_dry(loop).finished["two"]
    # 30 + 11 tokens, the last of which was never computed: ten full blocks of four.
    assert (spend.prompt_tokens, spend.cached_tokens, spend.computed_tokens) == (44, 40, 4)


def test_the_last_token_of_a_known_prompt_is_computed_again() -> None:
    model = FakePagedModel()
    loop = loop_over(model)
    answer(loop, token_request("one", range(16), 4))
    loop.submit(token_request("two", range(16), 4))
    outcome = run_dry(loop)
    assert outcome.finished["two"].cached_tokens == 12
    assert outcome.tokens["two", 0] == model.greedy(range(16), 4)


def test_nothing_is_shared_across_namespaces() -> None:
    model = FakePagedModel()
    loop = loop_over(model)
    answer(loop, token_request("one", range(20), 4, namespace=b"theirs"))
    loop.submit(token_request("two", range(20), 4, namespace=b"ours"))
    assert run_dry(loop).finished["two"].cached_tokens == 0


@FUZZ
@given(st.integers(0, 10**6))
def test_no_block_is_ever_in_tables_of_two_namespaces(seed: int) -> None:
    chance = random.Random(seed)
    model = FakePagedModel(block_count=24)
    loop = mixed_loop(chance, model)
    requests = requests_like(chance, model, 8)
    namespace_of: dict[int, set[bytes]] = {}
    for request in requests:
        loop.submit(request)
    while loop.has_work:
        loop.begin_step()
        owners: dict[int, set[bytes]] = {}
        for running in loop._requests.values():
            for sequence in running.choices:
                for block in sequence.table:
                    owners.setdefault(block, set()).add(running.request.namespace)
        assert all(len(names) == 1 for names in owners.values())
        namespace_of |= owners
        loop.finish_step()
    assert namespace_of


def test_twins_that_arrive_together_compute_their_prompt_once() -> None:
    model = FakePagedModel()
    loop = loop_over(model, prefill_chunk_tokens=8)
    for index in range(5):
        loop.submit(token_request(f"r{index}", [*range(40), 50 + index], 3))
    outcome = run_dry(loop)
    computed = [outcome.finished[f"r{index}"].computed_tokens for index in range(5)]
    assert computed == [41, 1, 1, 1, 1]
    assert all(outcome.tokens[f"r{i}", 0] == model.greedy([*range(40), 50 + i], 3) for i in range(5))


def test_choices_share_their_prompts_blocks_and_differ_by_seeded_chance() -> None:
    model = FakePagedModel(block_count=40)
    loop = loop_over(model)
    warm = Sampling(temperature=1.5)
    loop.submit(token_request("r", range(38), 12, n=4, sampling=warm, seed=3))
    outcome = run_dry(loop)
    spend = outcome.finished["r"]
    # Every further choice computes the last, partial block of the prompt for itself.
    assert (spend.prompt_tokens, spend.cached_tokens, spend.computed_tokens) == (38, 0, 38 + 3 * 2)
    assert spend.generated_tokens == 48
    texts = [tuple(outcome.tokens["r", index]) for index in range(4)]
    assert len(set(texts)) == 4
    for index in range(4):
        again = loop_over(FakePagedModel(), speculate=False, prefill_chunk_tokens=5)
        again.submit(token_request("other", range(38), 12, n=4, sampling=warm, seed=3))
        again.submit(token_request("noise", [9, 9], 40))
        assert tuple(run_dry(again).tokens["other", index]) == texts[index]


def test_running_out_of_blocks_preempts_and_still_answers_right() -> None:
    model = FakePagedModel(block_count=12)
    loop = loop_over(model, max_sequences=4)
    prompts = [[10 * index + offset for offset in range(6)] for index in range(4)]
    for index, prompt in enumerate(prompts):
        loop.submit(token_request(f"r{index}", prompt, 30, share=f"s{index}"))
    outcome = run_dry(loop)
    for index, prompt in enumerate(prompts):
        assert outcome.tokens[f"r{index}", 0] == model.greedy(prompt, 30)
    spends = outcome.finished.values()
    assert sum(spend.computed_tokens for spend in spends) > 4 * 6, "nothing was recomputed, so nothing was preempted"
    assert all(spend.prompt_tokens == 6 and spend.cached_tokens == 0 for spend in spends)


def test_a_paused_request_waits_and_loses_its_blocks_only_when_they_are_needed() -> None:
    model = FakePagedModel(block_count=12)
    loop = loop_over(model, max_sequences=2, speculate=False)
    loop.submit(token_request("paused", range(20), 20))
    outcome = Outcome()
    for _ in range(3):
        outcome.add(loop.step())
    loop.pause("paused")
    assert not loop.has_work
    assert loop.load.cache_used_tokens > 0
    loop.submit(token_request("small", [90, 91], 4))
    run_dry(loop, outcome)
    assert len(outcome.tokens["paused", 0]) == 3
    loop.submit(token_request("large", range(30, 60), 15))
    run_dry(loop, outcome)
    assert "paused" not in outcome.finished
    loop.resume("paused")
    run_dry(loop, outcome)
    assert outcome.tokens["paused", 0] == model.greedy(range(20), 20)
    assert outcome.tokens["large", 0] == model.greedy(range(30, 60), 15)


def test_a_resumed_request_goes_on_without_recomputing() -> None:
    model = FakePagedModel()
    loop = loop_over(model, speculate=False)
    loop.submit(token_request("r", range(20), 8))
    outcome = Outcome()
    outcome.add(loop.step())
    loop.begin_step()
    loop.pause("r")
    outcome.add(loop.finish_step())
    assert len(outcome.tokens["r", 0]) == 2
    loop.resume("r")
    spend = run_dry(loop, outcome).finished["r"]
    assert outcome.tokens["r", 0] == model.greedy(range(20), 8)
    assert (spend.computed_tokens, spend.decode_positions) == (20, 7)


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
