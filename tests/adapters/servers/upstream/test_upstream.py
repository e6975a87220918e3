"""The upstream adapter against a real server of the test that behaves, misbehaves and refuses."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.contracts.model_server import answer, assert_one_last_word, chat, prepare, text_of
from tests.fakes.openai_server import API_KEY, MODEL, OpenAIServer, serving
from tests.waiting import until

from tramontane.adapters.servers.upstream import UpstreamServer, UpstreamSettings, connect
from tramontane.foundation.errors import EngineFailed, ModelUnavailable
from tramontane.foundation.events import ChoiceEnd, Failed, Finished, ToolCallDelta
from tramontane.foundation.nouns import AnswerFormat, EmbedAsk, Message, Sampling, TextChunk, Tool, ToolChoice


@pytest.fixture
async def far() -> AsyncIterator[tuple[OpenAIServer, UpstreamServer, UpstreamSettings]]:
    behind = OpenAIServer("vllm", step_s=0.005)
    async with serving(behind) as address:
        settings = UpstreamSettings(base_url=address, upstream_model=MODEL, api_key=API_KEY)
        server = await connect("far", settings)
        yield behind, server, settings
        await server.close()


Far = tuple[OpenAIServer, UpstreamServer, UpstreamSettings]


@pytest.mark.parametrize(
    ("order", "code", "said"),
    [
        ("!cut", "engine_failed", "middle"),
        ("!garbage", "engine_failed", "unreadable"),
        ("!error", "engine_failed", "out of cards"),
        ("!endless", "engine_failed", "without end"),
        ("!429", "overloaded", "busy"),
        ("!503", "overloaded", "busy"),
        ("!401", "model_unavailable", "credentials"),
        ("!404", "model_unavailable", "name"),
        ("!400", "invalid_request", "refused with 400"),
        ("!500", "engine_failed", "500"),
        ("!redirect", "engine_failed", "307"),
    ],
)
async def test_every_way_to_fail_is_one_last_word(far: Far, order: str, code: str, said: str) -> None:
    await fails_once(far[1], order, code, said)


async def test_silence_is_one_last_word(far: Far) -> None:
    server = await connect("far", replace(far[2], silence_s=0.5))
    await fails_once(server, "!silent", "deadline_exceeded", "silent")
    await server.close()


async def fails_once(server: UpstreamServer, order: str, code: str, said: str) -> None:
    events = await answer(server, chat("f1", text=f"please {order}", max_tokens=20))
    assert_one_last_word(events)
    last = events[-1]
    assert isinstance(last, Failed)
    assert last.code == code
    assert said in last.message
    assert API_KEY not in last.message
    assert server.load.running == 0


async def test_words_that_come_together_with_a_failure_are_handed_up_before_it(far: Far) -> None:
    events = await answer(far[1], chat("f2", text="please !burst", max_tokens=20))
    assert_one_last_word(events)
    assert text_of(events) == "as far as it came"
    failed = events[-1]
    assert isinstance(failed, Failed) and "out of cards" in failed.message


@pytest.mark.parametrize("order", ["!unmarked", "!unended"])
async def test_a_choice_that_said_how_it_ended_is_whole_without_the_closing_mark(far: Far, order: str) -> None:
    events = await answer(far[1], chat("d1", text=f"please {order}", max_tokens=4))
    assert_one_last_word(events)
    assert isinstance(events[-1], Finished)
    assert text_of(events).split() == ["w0", "w1", "w2", "w3"]
    assert sum(isinstance(event, ChoiceEnd) for event in events) == 1


async def test_nothing_is_awaited_while_a_reader_is_slow(far: Far) -> None:
    server = far[1]
    batches = server.generate(await prepare(server, chat("s1", max_tokens=20)))
    asking = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0)
    assert (server.load.running, server.awaited) == (1, 1)
    await asking
    assert (server.load.running, server.awaited) == (1, 0)
    async for _ in batches:
        pass
    assert (server.load.running, server.awaited) == (0, 0)


async def test_hanging_up_reaches_the_other_server(far: Far) -> None:
    behind, server, _ = far
    batches = server.generate(await prepare(server, chat("h1", max_tokens=2000)))
    await anext(batches)
    await batches.aclose()
    await until(lambda: behind.closed_streams)
    spend = server.cancelled_spend("h1")
    assert spend is not None
    assert spend.generated_tokens > 0


async def test_tool_calls_in_pieces_come_out_whole(far: Far) -> None:
    tools = (Tool(name="look", parameters={"type": "object"}), Tool(name="listen"))
    events = await answer(far[1], chat("t1", text="please !calls", max_tokens=2, tools=tools))
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(call.position, call.id, call.name, call.arguments) for call in calls] == [
        (0, "call_0", "look", '{"at": "sea"}'),
        (1, "call_1", "listen", "{}"),
    ]
    assert [event.reason for event in events if isinstance(event, ChoiceEnd)] == ["tool_calls"]


async def test_usage_of_the_server_is_what_counts(far: Far) -> None:
    await answer(far[1], chat("u1", text="one two three"))
    last = (await answer(far[1], chat("u2", text="one two three")))[-1]
    assert isinstance(last, Finished)
    assert (last.spend.prompt_tokens, last.spend.cached_tokens, last.spend.generated_tokens) == (3, 2, 8)


async def test_a_begun_answer_is_continued_and_given_back_whole(far: Far) -> None:
    begun = Message(role="assistant", content=(TextChunk("Once upon"),), prefix=True)
    messages = (Message(role="user", content=(TextChunk("tell"),)), begun)
    text = text_of(await answer(far[1], chat("p1", messages=messages, max_tokens=2)))
    assert text == "Once upon w0 w1"
    assert far[0].bodies[-1]["continue_final_message"] is True


async def test_what_is_asked_is_what_is_sent(far: Far) -> None:
    ask = chat(
        "s1",
        sampling=Sampling(temperature=0.5, top_k=4, logit_bias={7: 1.5}, frequency_penalty=0.25),
        tools=(Tool(name="look", description="d", parameters={"type": "object"}, strict=True),),
        tool_choice=ToolChoice(mode="named", name="look", parallel=False),
        answer=AnswerFormat(kind="json_schema", schema={"type": "object"}, name="shape"),
        logprobs=2,
        n=2,
    )
    await answer(far[1], ask)
    body = far[0].bodies[-1]
    assert body["model"] == MODEL
    assert (body["temperature"], body["top_k"], body["logit_bias"]) == (0.5, 4, {"7": 1.5})
    assert body["frequency_penalty"] == 0.25
    assert "presence_penalty" not in body
    assert body["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert body["parallel_tool_calls"] is False
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert (body["logprobs"], body["top_logprobs"], body["n"]) == (True, 2, 2)
    assert body["cache_salt"]


async def test_a_wrong_key_or_name_is_told_to_the_operator(far: Far, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = far[2]
    with pytest.raises(ModelUnavailable, match="credentials"):
        await connect("far", replace(settings, api_key="other-secret"))
    with pytest.raises(ModelUnavailable, match=MODEL):
        await connect("far", replace(settings, upstream_model="unknown"))
    assert "other-secret" not in repr(replace(settings, api_key="other-secret"))
    assert "other-secret" not in caplog.text


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    settings = UpstreamSettings(base_url="http://127.0.0.1:9/v1", upstream_model=MODEL)
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await connect("far", settings)


async def test_vectors_come_back_in_the_order_asked_and_broken_ones_are_refused(far: Far) -> None:
    first = await far[1].embed(EmbedAsk(id="e1", model="any", inputs=("a", "b")))
    turned = await far[1].embed(EmbedAsk(id="e2", model="any", inputs=("b", "a")))
    assert list(first.rows) == list(turned.rows)[::-1]
    with pytest.raises(EngineFailed, match="usable"):
        await far[1].embed(EmbedAsk(id="e3", model="any", inputs=("!broken",)))
