"""The unmodified official OpenAI SDK against the real server, on the strict dialect and on the tolerant one."""

from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel
from tests.fakes.doors import KEY
from tests.fakes.engine_room import FakeRoom

from tramontane.foundation.errors import (
    Conflict,
    ContextExceeded,
    EngineFailed,
    Forbidden,
    Overloaded,
    RateLimited,
    TramontaneError,
)

TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
GREETING = "Bonjour à tous\u2028 👋"


class Person(BaseModel):
    name: str
    age: int


def client_of(url: str, prefix: str = "/openai/v1", key: str = KEY) -> OpenAI:
    return OpenAI(api_key=key, base_url=url + prefix, max_retries=0)


@pytest.fixture
def client(url: str) -> OpenAI:
    return client_of(url)


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("prefix", ["/openai/v1", "/v1"])
def test_complete(url: str, prefix: str, room: FakeRoom) -> None:
    answer = client_of(url, prefix).chat.completions.create(
        model="fake", messages=user("hello"), seed=7, max_completion_tokens=9, logit_bias={"5": -100}, stop=["END"]
    )
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (GREETING, "stop")
    asked = room.asks[-1]
    assert (asked.sampling.seed, asked.limits.max_tokens, asked.limits.stop) == (7, 9, ("END",))
    assert asked.sampling.logit_bias == {5: -100.0}


@pytest.mark.parametrize("prefix", ["/openai/v1", "/v1"])
def test_stream(url: str, prefix: str) -> None:
    stream = client_of(url, prefix).chat.completions.create(
        model="fake", messages=user("hello"), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == GREETING
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


def test_usage_comes_only_when_asked_for(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="fake", messages=user("hello"), stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_the_stream_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(model="fake", messages=user("hello")) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.content == GREETING


def test_parse(client: OpenAI, room: FakeRoom) -> None:
    answer = client.chat.completions.parse(model="fake", messages=user("who?"), response_format=Person)
    assert answer.choices[0].message.parsed == Person(name="Ada", age=36)
    assert room.asks[-1].answer.strict is True


def test_tools(client: OpenAI, room: FakeRoom) -> None:
    choice: Any = {"type": "function", "function": {"name": "weather"}}
    answer = client.chat.completions.create(
        model="fake", messages=user("weather?"), tools=[TOOL], tool_choice=choice, parallel_tool_calls=False
    )
    message = answer.choices[0].message
    assert message.content is None
    assert message.tool_calls[0].function.arguments == '{"city":"Nîmes"}'
    asked = room.asks[-1].tool_choice
    assert (asked.mode, asked.name, asked.parallel) == ("named", "weather", False)
    history = [*user("weather?"), message, {"role": "tool", "content": "12 °C", "tool_call_id": "abcDEF123"}]
    assert client.chat.completions.create(model="fake", messages=history).choices[0].message.content == GREETING


def test_tools_in_a_stream(client: OpenAI) -> None:
    chunks = client.chat.completions.create(model="fake", messages=user("weather?"), tools=[TOOL], stream=True)
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert [(call.index, call.id) for call in calls] == [(0, "abcDEF123")]


def test_thoughts_stand_beside_the_answer(client: OpenAI) -> None:
    message = client.chat.completions.create(model="fake", messages=user("think")).choices[0].message
    assert (message.content, message.reasoning_content) == ("yes it is", "let me see")
    chunks = client.chat.completions.create(model="fake", messages=user("think"), stream=True)
    thoughts = [getattr(chunk.choices[0].delta, "reasoning_content", None) or "" for chunk in chunks]
    assert "".join(thoughts) == "let me see"


def test_several_answers_with_log_probabilities(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="fake", messages=user("hello"), n=3, logprobs=True, top_logprobs=2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    first = answer.choices[2].logprobs.content[0]
    assert (first.token, len(first.top_logprobs)) == ("Bon", 2)


@pytest.mark.parametrize("prefix", ["/openai/v1", "/v1"])
def test_plain_completions(url: str, prefix: str, room: FakeRoom) -> None:
    client = client_of(url, prefix)
    answer = client.completions.create(model="fake", prompt="Say", logprobs=1, max_tokens=4)
    assert (answer.choices[0].text, answer.choices[0].logprobs.tokens[0]) == (GREETING, "Bon")
    chunks = client.completions.create(model="fake", prompt=[5, 6, 7], stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == GREETING
    assert room.asks[-1].prompt_tokens == (5, 6, 7)


@pytest.mark.parametrize("prefix", ["/openai/v1", "/v1"])
def test_several_prompts(url: str, prefix: str, room: FakeRoom) -> None:
    client = client_of(url, prefix)
    answer = client.completions.create(model="fake", prompt=["one", "two"], n=2)
    assert [(choice.index, choice.text) for choice in answer.choices] == [(index, GREETING) for index in range(4)]
    assert answer.usage.completion_tokens == 2 * 2 * 5
    texts = [""] * 2
    for chunk in client.completions.create(model="fake", prompt=[[5, 6], [7]], stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [GREETING] * 2
    assert sorted(ask.prompt_tokens for ask in room.asks[-2:]) == [(5, 6), (7,)]


@pytest.mark.parametrize("prefix", ["/openai/v1", "/v1"])
def test_embeddings(url: str, prefix: str) -> None:
    client = client_of(url, prefix)
    compact = client.embeddings.create(model="fake", input=["one", "two"])
    plain = client.embeddings.create(model="fake", input=["one", "two"], encoding_format="float")
    assert compact.data[1].embedding == pytest.approx(plain.data[1].embedding)
    assert len(client.embeddings.create(model="fake", input=[[1, 2], [3]], dimensions=4).data[0].embedding) == 4


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["fake"]
    assert client.models.retrieve("fake").owned_by == "tramontane"
    with pytest.raises(openai.NotFoundError, match="near names"):
        client.models.retrieve("private")


REFUSALS: list[tuple[TramontaneError, type[openai.APIStatusError]]] = [
    (ContextExceeded("prompt has 9 tokens, the context is 8; shorten it"), openai.BadRequestError),
    (Forbidden("the licence of fake is not accepted; ask an administrator"), openai.PermissionDeniedError),
    (Conflict("the request is open; wait"), openai.ConflictError),
    (RateLimited("too many requests; wait", retry_after_s=3), openai.RateLimitError),
    (Overloaded("the line is full; try again", retry_after_s=3), openai.InternalServerError),
    (EngineFailed("the engine broke; try again"), openai.InternalServerError),
]


@pytest.mark.parametrize(("refusal", "kind"), REFUSALS, ids=lambda value: getattr(value, "code", None))
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_raise_the_sdks_error(
    client: OpenAI, room: FakeRoom, refusal: TramontaneError, kind: type[openai.APIStatusError], stream: bool
) -> None:
    room.refusal = refusal
    try:
        with pytest.raises(kind) as raised:
            client.chat.completions.create(model="fake", messages=user("hello"), stream=stream)
    finally:
        room.refusal = None
    assert raised.value.body["message"] == refusal.message
    assert raised.value.code == refusal.code
    assert raised.value.request_id


def test_wrong_fields_are_a_bad_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="fake", messages=user("hello"), temperature=2.5)
    assert raised.value.param == "temperature"


def test_an_unknown_key(url: str) -> None:
    with pytest.raises(openai.AuthenticationError):
        client_of(url, key="tm_revoked").models.list()


def test_a_stream_that_fails_raises(client: OpenAI) -> None:
    stream = client.chat.completions.create(model="fake", messages=user("fail"), stream=True)
    with pytest.raises(openai.APIError, match="is gone"):
        list(stream)
