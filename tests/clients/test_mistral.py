"""The unmodified official Mistral SDK against the real server."""

from collections.abc import Iterator
from typing import Any

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import HTTPValidationError, SDKError
from mistralai.client.models import ThinkChunk, UserMessage
from pydantic import BaseModel
from tests.fakes.doors import KEY
from tests.fakes.engine_room import FakeRoom

from tramontane.foundation.errors import (
    ContextExceeded,
    DeadlineExceeded,
    EngineFailed,
    Forbidden,
    ModelUnavailable,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    TramontaneError,
)

TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
GREETING = "Bonjour à tous\u2028 👋"


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture
def client(url: str) -> Iterator[Mistral]:
    with Mistral(api_key=KEY, server_url=url) as opened:
        yield opened


def user(text: str) -> list[UserMessage]:
    return [UserMessage(content=text)]


def test_complete(client: Mistral) -> None:
    answer = client.chat.complete(model="fake", messages=user("hello"), temperature=0, random_seed=7, max_tokens=9)
    assert answer.choices[0].message.content == GREETING
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 1


def test_stream(client: Mistral) -> None:
    chunks = [event.data for event in client.chat.stream(model="fake", messages=user("hello"))]
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == GREETING
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == 5


async def test_stream_async(client: Mistral) -> None:
    stream = await client.chat.stream_async(model="fake", messages=user("hello"))
    assert "".join([chunk.data.choices[0].delta.content async for chunk in stream]) == GREETING


def test_several_answers_with_log_probabilities(client: Mistral) -> None:
    answer = client.chat.complete(model="fake", messages=user("hello"), n=2, logprobs=True, top_logprobs=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    first = answer.choices[1].logprobs.content[0]
    assert (first.token, first.token_id, [top.token for top in first.top_logprobs]) == ("Bon", 0, ["Bon", "other"])


def test_tool_calls_and_the_turn_after(client: Mistral, room: FakeRoom) -> None:
    answer = client.chat.complete(model="fake", messages=user("weather?"), tools=[TOOL], tool_choice="any")
    message = answer.choices[0].message
    assert (message.tool_calls[0].function.name, message.content) == ("weather", "")
    assert answer.choices[0].finish_reason == "tool_calls"
    history = [
        *user("weather?"),
        message,
        {"role": "tool", "content": "12 °C", "tool_call_id": message.tool_calls[0].id},
    ]
    client.chat.complete(model="fake", messages=history)
    asked = room.asks[-1].messages
    assert asked[1].tool_calls[0].arguments == '{"city":"Nîmes"}'
    assert asked[2].tool_call_id == "abcDEF123"


def test_tool_calls_in_a_stream(client: Mistral) -> None:
    events = client.chat.stream(model="fake", messages=user("weather?"), tools=[TOOL])
    calls = [call for event in events for call in event.data.choices[0].delta.tool_calls or []]
    assert [call.id for call in calls] == ["abcDEF123"]


def test_parse_reads_a_schema(client: Mistral, room: FakeRoom) -> None:
    answer = client.chat.parse(response_format=Person, model="fake", messages=user("who?"))
    assert answer.choices[0].message.parsed == Person(name="Ada", age=36)
    asked = room.asks[-1].answer
    assert (asked.kind, asked.name, asked.strict) == ("json_schema", "Person", True)
    assert asked.schema["required"] == ["name", "age"]


def test_thoughts_come_as_chunks_and_go_back(client: Mistral, room: FakeRoom) -> None:
    message = client.chat.complete(model="fake", messages=user("think"), reasoning_effort="high").choices[0].message
    assert isinstance(message.content[0], ThinkChunk)
    assert message.content[1].text == "yes it is"
    client.chat.complete(model="fake", messages=[*user("think"), message, *user("and?")])
    assert room.asks[-1].messages[1].content[0].text == "let me see"


def test_thoughts_in_a_stream(client: Mistral) -> None:
    contents = [
        event.data.choices[0].delta.content for event in client.chat.stream(model="fake", messages=user("think"))
    ]
    lists = [content for content in contents if isinstance(content, list)]
    assert [[chunk.type for chunk in content] for content in lists] == [["thinking"], ["thinking", "text"]]


def test_fill_in_the_middle(client: Mistral, room: FakeRoom) -> None:
    answer = client.fim.complete(model="fake", prompt="def f(", suffix="return x", min_tokens=1)
    assert answer.choices[0].message.content == GREETING
    assert (room.asks[-1].kind, room.asks[-1].suffix) == ("fim", "return x")
    events = client.fim.stream(model="fake", prompt="def f(")
    assert "".join(event.data.choices[0].delta.content for event in events) == GREETING


@pytest.mark.parametrize("dtype", ["float", "int8", "uint8", "binary", "ubinary"])
def test_embeddings(client: Mistral, dtype: Any) -> None:
    answer = client.embeddings.create(model="fake", inputs=["one", "two"], output_dtype=dtype)
    assert [row.index for row in answer.data] == [0, 1]
    assert len(answer.data[0].embedding) == (1 if dtype.endswith("binary") else 8)
    assert answer.usage.prompt_tokens == 2


def test_models(client: Mistral) -> None:
    listed = client.models.list().data
    assert [(card.id, card.type, card.max_context_length) for card in listed] == [("fake", "base", 4096)]
    card = client.models.retrieve(model_id="mistral-small-latest")
    assert (card.id, card.capabilities.completion_fim) == ("fake", True)


def test_a_stream_that_fails_says_so(client: Mistral) -> None:
    chunks = [event.data for event in client.chat.stream(model="fake", messages=user("fail"))]
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "error"


REFUSALS: list[tuple[TramontaneError, int]] = [
    (ContextExceeded("prompt has 9 tokens, the context is 8; shorten it"), 400),
    (Forbidden("the licence of fake is not accepted; ask an administrator"), 403),
    (RateLimited("too many requests; wait", retry_after_s=3.2), 429),
    (QuotaExhausted("the budget is spent; ask for more", retry_after_s=60), 429),
    (Overloaded("the line is full; try again", retry_after_s=0.1), 503),
    (ModelUnavailable("fake is loading; try again", retry_after_s=600), 503),
    (EngineFailed("the engine broke; try again"), 502),
    (DeadlineExceeded("the time is over; allow more"), 504),
]


@pytest.mark.parametrize(("refusal", "status"), REFUSALS, ids=lambda value: getattr(value, "code", value))
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_raise_the_sdks_error(
    client: Mistral, room: FakeRoom, refusal: TramontaneError, status: int, stream: bool
) -> None:
    room.refusal = refusal
    ask = client.chat.stream if stream else client.chat.complete
    try:
        with pytest.raises(SDKError) as raised:
            ask(model="fake", messages=user("hello"))
    finally:
        room.refusal = None
    assert raised.value.status_code == status
    assert refusal.message in raised.value.body
    if hasattr(refusal, "retry_after_s"):
        assert 1 <= int(raised.value.headers["retry-after"]) <= 60


def test_wrong_fields_raise_the_validation_error(client: Mistral) -> None:
    with pytest.raises(HTTPValidationError) as raised:
        client.chat.complete(model="fake", messages=user("hello"), temperature=1.6)
    assert raised.value.data.detail[0].loc == ["body", "temperature"]


def test_an_unknown_model_lists_near_names(client: Mistral) -> None:
    with pytest.raises(SDKError, match="near names: fake") as raised:
        client.chat.complete(model="fakk", messages=user("hello"))
    assert raised.value.status_code == 404
    with pytest.raises(SDKError, match="mistral-small-latest"):
        client.models.retrieve(model_id="mistral-smal-latest")


def test_an_unknown_key(url: str) -> None:
    with Mistral(api_key="tm_revoked", server_url=url) as client, pytest.raises(SDKError) as raised:
        client.models.list()
    assert (raised.value.status_code, '"detail":"Unauthorized"' in raised.value.body) == (401, True)
