"""Several prompts in one request: choices in the order of the prompts, one ask and one receipt each, one last word."""

import asyncio
import json
from collections import Counter
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.doors import KEY, caller_named, fake_doors
from tests.fakes.engine_world import Book, Directory, Starter
from tests.fakes.model_server import Answer, FakeModelServer, Script
from tests.waiting import PATIENCE_S, until

from tramontane.engine.nouns import Policy
from tramontane.engine.room import Engine
from tramontane.entrypoints.api import build_app
from tramontane.entrypoints.api.dialects.collect import collect
from tramontane.entrypoints.api.joint import JointAnswer, total
from tramontane.foundation.events import ChoiceEnd, Event, Failed, TextDelta
from tramontane.foundation.nouns import Ask, Spend

PATHS = ["/v1/completions", "/openai/v1/completions"]
CALLER = caller_named("ws_one")


def echoing(ask: Ask, max_tokens: int) -> Answer:
    """Every choice tells its prompt and its number, a letter a step; `fail` breaks after the first."""
    text = ask.prompt or "-".join(map(str, ask.prompt_tokens))
    words = [[TextDelta(index, letter) for index in range(ask.n)] for letter in text]
    numbers: list[Event] = [TextDelta(index, f":{index}") for index in range(ask.n)]
    ends: list[Event] = [ChoiceEnd(index, "stop") for index in range(ask.n)]
    if text == "fail":
        return Answer(batches=words[:1], failure=Failed("engine_failed", "the engine is gone; try again"))
    if text == "endless":
        return Answer(batches=words * 100_000, step_s=0.001)
    return Answer(batches=[*words, numbers, ends])


class House:
    """Doors, room and one fake model with few seats."""

    def __init__(self, script: Script = echoing, slots: int = 4, **policy: Any) -> None:
        self.book = Book()
        self.starter = Starter(lambda model: FakeModelServer(model, script=script, slots=slots, context_tokens=64))
        self.engine = Engine(
            Directory("fake"), self.starter, self.book, secret=b"s" * 32, policy=Policy(**policy), jitter=lambda: 0.0
        )
        transport = httpx2.ASGITransport(app=build_app(fake_doors(self.engine)))  # type: ignore[arg-type]
        headers = {"authorization": f"Bearer {KEY}"}
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)

    async def ask(self, prompt: Any, path: str = PATHS[1], **fields: Any) -> httpx2.Response:
        async with asyncio.timeout(PATIENCE_S):
            return await self.client.post(path, json={"model": "fake", "prompt": prompt, **fields})

    def outcomes(self) -> Counter[str]:
        return Counter(receipt.outcome for receipt in self.book.receipts)

    @property
    def running(self) -> int:
        return self.starter.servers[-1].load.running


def chunks_of(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("slots", [1, 8])
async def test_choices_stand_in_the_order_of_the_prompts(path: str, slots: int) -> None:
    house = House(slots=slots)
    answer = await house.ask(["ab", "c", "defg"], path, n=2)
    assert answer.status_code == 200, answer.text
    told = [(choice["index"], choice["text"], choice["finish_reason"]) for choice in answer.json()["choices"]]
    texts = ["ab:0", "ab:1", "c:0", "c:1", "defg:0", "defg:1"]
    assert told == [(index, text, "stop") for index, text in enumerate(texts)]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("slots", [1, 8])
async def test_a_stream_tells_every_choice_and_one_last_word(path: str, slots: int) -> None:
    house = House(slots=slots)
    answer = await house.ask(["ab", "c", "defg"], path, n=2, stream=True, stream_options={"include_usage": True})
    chunks = chunks_of(answer.text)
    texts, ends = [""] * 6, Counter[int]()
    for chunk in chunks[:-1]:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
            ends[choice["index"]] += choice["finish_reason"] is not None
    assert texts == ["ab:0", "ab:1", "c:0", "c:1", "defg:0", "defg:1"]
    assert ends == dict.fromkeys(range(6), 1)
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert answer.text.count("[DONE]") == 1 and answer.text.endswith("data: [DONE]\n\n")
    whole = (await house.ask(["ab", "c", "defg"], path, n=2)).json()["usage"]
    assert chunks[-1]["usage"]["completion_tokens"] == whole["completion_tokens"] == 2 * (3 + 2 + 5)


async def test_each_prompt_leaves_one_receipt_and_usage_is_their_sum() -> None:
    house = House()
    answer = await house.ask([[1, 2, 3], [4]])
    assert [choice["text"] for choice in answer.json()["choices"]] == ["1-2-3:0", "4:0"]
    first = answer.headers["x-request-id"]
    assert {receipt.request_id for receipt in house.book.receipts} == {first, f"{first}-1"}
    assert house.outcomes() == {"finished": 2}
    spends = [receipt.spend for receipt in house.book.receipts]
    usage = answer.json()["usage"]
    assert usage["prompt_tokens"] == sum(spend.prompt_tokens for spend in spends) == 4
    assert usage["completion_tokens"] == sum(spend.generated_tokens for spend in spends)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_one_prompt_is_refused_with_refuses_them_all(stream: bool) -> None:
    house = House()
    answer = await house.ask(["endless", "too long " * 64], stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert house.outcomes() == {"refused": 1, "cancelled": 1}
    assert house.running == 0


async def test_a_rate_is_asked_for_every_prompt() -> None:
    house = House(default_requests_per_minute=2)
    answer = await house.ask(["endless", "endless", "c"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(answer.headers["retry-after"]) <= 60


@pytest.mark.parametrize("stream", [False, True])
async def test_the_first_to_fail_ends_them_all(stream: bool) -> None:
    house = House()
    answer = await house.ask(["endless", "fail", "endless"], stream=stream)
    if stream:
        assert chunks_of(answer.text)[-1]["error"]["code"] == "engine_failed"
        assert "[DONE]" not in answer.text
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_failed")
    assert house.outcomes() == {"failed": 1, "cancelled": 2}
    assert house.running == 0


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("stream", [False, True])
async def test_giving_up_frees_every_seat(stream: bool, slots: int) -> None:
    house = House(slots=slots)
    call = asyncio.create_task(house.ask(["endless"] * 3, stream=stream))
    await until(lambda: house.starter.servers and house.running)
    call.cancel()
    await asyncio.wait([call])
    await until(lambda: len(house.book.receipts) == 3)
    assert house.outcomes() == {"cancelled": 3}
    assert house.running == 0


async def test_too_many_prompts_are_refused_by_name() -> None:
    house = House()
    answer = await house.ask(["a"] * 65, PATHS[0])
    assert (answer.status_code, answer.json()["param"]) == (422, "prompt")
    assert "64" in answer.json()["message"]
    assert house.book.receipts == []


TEXTS = st.lists(st.text("abc", min_size=1, max_size=6), min_size=2, max_size=6)


@given(TEXTS, st.integers(1, 3), st.integers(1, 4))
async def test_however_they_interleave_each_choice_is_whole(texts: list[str], n: int, slots: int) -> None:
    house = House(slots=slots)
    asks = [Ask(id=f"r-{place}", model="fake", kind="text", prompt=text, n=n) for place, text in enumerate(texts)]
    answer = await JointAnswer.opened(house.engine, CALLER, asks, "openai")
    drafts, spend = await collect(answer.events(), n * len(texts))
    assert [draft.text for draft in drafts] == [f"{text}:{index}" for text in texts for index in range(n)]
    assert spend.generated_tokens == sum(receipt.spend.generated_tokens for receipt in house.book.receipts)
    assert house.outcomes() == {"finished": len(texts)}


def test_costs_are_added_field_by_field() -> None:
    one = Spend(**{name: 10**place for place, name in enumerate(Spend.__struct_fields__)})
    assert total([one, one, one]) == Spend(**{name: 3 * getattr(one, name) for name in Spend.__struct_fields__})


async def test_an_answer_nobody_reads_is_given_back() -> None:
    house = House()
    asks = [Ask(id=f"r-{place}", model="fake", kind="text", prompt="endless") for place in range(2)]
    answer = await JointAnswer.opened(house.engine, CALLER, asks, "openai")
    await answer.close()
    assert house.outcomes() == {"cancelled": 2}
    assert house.running == 0
