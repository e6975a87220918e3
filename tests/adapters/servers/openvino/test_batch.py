"""Prompts are served fairly, nobody starves, and every step gets something done."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.paged_model import FakePagedModel
from tests.fakes.token_requests import token_request

from tramontane.adapters.servers.openvino.loop import EngineLoop
from tramontane.adapters.servers.openvino.sequence import MOVES, Sequence, State

CHUNK = 8


def unlike_prompt(number: int, length: int) -> list[int]:
    """A prompt that shares no block with another number's."""
    return [number % 97, number // 97 % 97, *(number * 7 % 97 for _ in range(length - 2))]


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.sampled_from("wxyz"), st.integers(1, 4), min_size=2, max_size=4),
    st.lists(st.integers(4, 60), min_size=4, max_size=4),
)
def test_backlogged_shares_get_prefill_by_weight(weights: dict[str, int], lengths: list[int]) -> None:
    """Each share always has a prompt waiting; served prompt tokens for each weight stay within a bounded distance."""
    model = FakePagedModel(block_count=200)
    loop = EngineLoop(model, max_sequences=16, prefill_chunk_tokens=CHUNK, clock_ns=lambda: 0)
    served = dict.fromkeys(weights, 0)
    submitted, share_of = 0, {}
    length_of = dict(zip(sorted(weights), lengths, strict=False))
    backlog = dict.fromkeys(weights, 0)
    for _ in range(150):
        for share, weight in weights.items():
            while backlog[share] < 6:
                name = f"r{submitted}"
                prompt = unlike_prompt(submitted, length_of[share])
                loop.submit(token_request(name, prompt, 1, share=share, weight=weight, namespace=name.encode()))
                share_of[name] = share
                backlog[share] += 1
                submitted += 1
        loop.begin_step()
        for row in loop._flight.rows if loop._flight else ():
            served[row.sequence.share] += row.count
        for name in loop.finish_step().finished:
            backlog[share_of[name]] -= 1
        rates = [served[share] / weight for share, weight in weights.items()]
        assert max(rates) - min(rates) <= 2 * CHUNK


def test_a_quiet_share_does_not_wait_behind_anothers_flood() -> None:
    loop = EngineLoop(FakePagedModel(block_count=400), prefill_chunk_tokens=CHUNK, clock_ns=lambda: 0)
    for index in range(10):
        loop.submit(token_request(f"flood{index}", unlike_prompt(index, 80), 5, share="flood", namespace=b"%d" % index))
    for _ in range(3):
        loop.step()
    loop.submit(token_request("quiet", range(12), 5, share="quiet"))
    # Each of its two chunks waits for at most one of the flood's.
    reports = [loop.step() for _ in range(4)]
    assert any(choice.request_id == "quiet" for report in reports for choice in report.choices)


def test_a_short_prompt_joins_the_chunk_of_a_long_one() -> None:
    model = FakePagedModel()
    loop = EngineLoop(model, prefill_chunk_tokens=20, clock_ns=lambda: 0)
    loop.submit(token_request("long", range(30), 2, share="a"))
    loop.submit(token_request("short", range(40, 45), 2, share="b"))
    loop.step()
    loop.step()
    # Half a chunk: a step that brings somebody their first token is not filled up with another share's prompt.
    assert np.diff(model.steps[1].begins).tolist() == [5, 5]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_every_step_computes_something_and_everyone_ends(seed: int) -> None:
    """However short of blocks, no step is empty while work waits, and no request is overtaken for ever."""
    chance = random.Random(seed)
    model = FakePagedModel(block_count=chance.choice([9, 13]))
    loop = EngineLoop(
        model, max_sequences=chance.choice([2, 6]), prefill_chunk_tokens=chance.choice([2, CHUNK]), clock_ns=lambda: 0
    )
    finished: set[str] = set()
    loop.submit(token_request("patient", unlike_prompt(96, 20), 10, share="patient"))
    for index in range(400):
        # A stream of short requests that never lets up.
        if loop.load.running < 6:
            loop.submit(
                token_request(
                    f"r{index}", unlike_prompt(index, chance.randrange(2, 10)), chance.randrange(1, 12), share="z"
                )
            )
        assert loop.begin_step()
        finished |= loop.finish_step().finished.keys()
        if "patient" in finished:
            break
    assert "patient" in finished
    while loop.has_work:
        assert loop.begin_step()
        loop.finish_step()
    assert not model.violations


def test_more_answers_than_slots_wait_their_turn() -> None:
    model = FakePagedModel()
    loop = EngineLoop(model, max_sequences=2, clock_ns=lambda: 0)
    for index in range(5):
        loop.submit(token_request(f"r{index}", [index, 1], 6))
    while loop.has_work:
        loop.step()
        assert loop.load.running <= 2
    assert max(len(step.past_lens) for step in model.steps) == 2


@pytest.mark.parametrize("state", list(State))
def test_only_moves_of_the_life_cycle_are_made(state: State) -> None:
    for target in State:
        sequence = Sequence(None, 0, 0, [1], b"", None, None, state=state)  # type: ignore[arg-type]
        if target in MOVES[state]:
            sequence.move(target)
            assert sequence.state is target
        else:
            with pytest.raises(ValueError, match="cannot go"):
                sequence.move(target)
