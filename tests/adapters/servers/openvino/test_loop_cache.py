"""What the loop keeps of prompts and answers: found again in its own namespace, given up when room is needed."""

import random

from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.servers.openvino.loops import FUZZ, loop_over, mixed_loop, requests_like
from tests.fakes.paged_model import FakePagedModel
from tests.fakes.token_requests import Outcome, answer, run_dry, token_request

from tramontane.foundation.nouns import Sampling


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
