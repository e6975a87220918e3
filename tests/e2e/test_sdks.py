"""The official clients, unmodified, against the real server and the real weights."""

import json

import jsonschema
import openai
import pytest
from mistralai.client import Mistral
from tests.e2e.conftest import CHAT, EMBEDDING
from tests.e2e.platform import Platform

# Bounded, so that however it is filled in, it closes within the tokens asked for.
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 40}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def mistral(platform: Platform) -> Mistral:
    return Mistral(api_key=platform.key, server_url=platform.address)


@pytest.fixture(scope="module")
def client(platform: Platform) -> openai.OpenAI:
    return openai.OpenAI(api_key=platform.key, base_url=platform.address + "/openai/v1")


def test_mistral_completes(mistral: Mistral) -> None:
    answer = mistral.chat.complete(model=CHAT, messages=QUESTION, temperature=0, max_tokens=30)
    assert "Paris" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > 10
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_mistral_streams_what_it_completes(mistral: Mistral) -> None:
    whole = mistral.chat.complete(model=CHAT, messages=QUESTION, temperature=0, max_tokens=30)
    pieces, reasons = [], []
    for event in mistral.chat.stream(model=CHAT, messages=QUESTION, temperature=0, max_tokens=30):
        pieces.append(event.data.choices[0].delta.content or "")
        reasons.append(event.data.choices[0].finish_reason)
    assert "".join(pieces) == whole.choices[0].message.content
    assert reasons[-1] == "stop" and set(reasons[:-1]) == {None}


@pytest.mark.parametrize("choice", ["any", "required", {"type": "function", "function": {"name": "get_weather"}}])
def test_mistral_calls_a_forced_tool(mistral: Mistral, choice: object) -> None:
    messages = [{"role": "user", "content": "Weather in Lyon in celsius?"}]
    answer = mistral.chat.complete(
        model=CHAT, messages=messages, tools=[WEATHER], tool_choice=choice, temperature=0, max_tokens=200
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    calls = answer.choices[0].message.tool_calls
    assert calls and len(calls[0].id) == 9
    for call in calls:
        assert call.function.name == "get_weather"
        jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])


def test_mistral_obeys_a_schema(mistral: Mistral) -> None:
    answer = mistral.chat.complete(
        model=CHAT,
        messages=[{"role": "user", "content": "Invent a person."}],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}},
        temperature=0.7,
        random_seed=1,
        max_tokens=200,
    )
    jsonschema.validate(json.loads(answer.choices[0].message.content), PERSON)


def test_mistral_fills_in_the_middle(mistral: Mistral) -> None:
    answer = mistral.fim.complete(
        model=CHAT, prompt="def add(a, b):\n    return ", suffix="\n\nprint(add(1, 2))\n", temperature=0, max_tokens=12
    )
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens > 0


def test_mistral_embeds(mistral: Mistral) -> None:
    texts = ["The cat sleeps on the sofa.", "A kitten naps on the couch.", "Interest rates rose in March."]
    answer = mistral.embeddings.create(model=EMBEDDING, inputs=texts)
    cat, kitten, rates = (item.embedding for item in answer.data)
    assert len(cat) == 384
    assert (
        sum(a * b for a, b in zip(cat, kitten, strict=True)) > 0.5 > sum(a * b for a, b in zip(cat, rates, strict=True))
    )


def test_mistral_lists_models(mistral: Mistral) -> None:
    assert {card.id for card in mistral.models.list().data} >= {CHAT, EMBEDDING}
    card = mistral.models.retrieve(model_id=CHAT)
    assert card.capabilities.completion_chat and card.max_context_length == 8192


def test_openai_completes_and_streams(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=CHAT, messages=QUESTION, temperature=0, max_tokens=30)
    stream = client.chat.completions.create(
        model=CHAT, messages=QUESTION, temperature=0, max_tokens=30, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        == whole.choices[0].message.content
    )
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_openai_obeys_tools_and_schema(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=CHAT, messages=[{"role": "user", "content": "Weather in Lyon?"}], tools=[WEATHER], tool_choice="required",
        temperature=0, max_tokens=200,
    )  # fmt: skip
    call = answer.choices[0].message.tool_calls[0]
    jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])
    answer = client.chat.completions.create(
        model=CHAT, messages=[{"role": "user", "content": "Invent a person."}], temperature=0, max_tokens=200,
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}},
    )  # fmt: skip
    jsonschema.validate(json.loads(answer.choices[0].message.content), PERSON)


def test_openai_legacy_completions_embeddings_and_models(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model=CHAT, prompt="The capital of France is", temperature=0, max_tokens=5, logprobs=3
    )
    assert "Paris" in answer.choices[0].text
    assert len(answer.choices[0].logprobs.tokens) == answer.usage.completion_tokens
    assert len(client.embeddings.create(model=EMBEDDING, input="hello").data[0].embedding) == 384
    assert CHAT in {model.id for model in client.models.list()}


def test_logprobs_seeds_and_choices(client: openai.OpenAI) -> None:
    def sample(seed: int) -> list[str]:
        answer = client.chat.completions.create(
            model=CHAT, messages=[{"role": "user", "content": "Write one line about the sea."}], temperature=1.0,
            seed=seed, n=2, max_tokens=20, logprobs=True, top_logprobs=5,
        )  # fmt: skip
        for choice in answer.choices:
            for token in choice.logprobs.content:
                assert token.logprob <= 0 and len(token.top_logprobs) == 5
                assert token.top_logprobs[0].logprob >= token.logprob - 1e-4
        return [choice.message.content for choice in answer.choices]

    once = sample(7)
    assert once == sample(7)
    assert once[0] != once[1]
    assert once != sample(8)


def test_what_is_left_open_is_sampled_as_the_catalogue_advises(mistral: Mistral) -> None:
    def said(**fields: float) -> str:
        answer = mistral.chat.complete(model=CHAT, messages=QUESTION, random_seed=11, max_tokens=40, **fields)
        return answer.choices[0].message.content

    advised = mistral.models.retrieve(model_id=CHAT).default_model_temperature
    assert advised == 0.2
    assert said() == said(temperature=advised, top_p=0.9) != said(temperature=1.5, top_p=1.0)


def test_errors_are_the_clients_own(client: openai.OpenAI, mistral: Mistral, platform: Platform) -> None:
    with pytest.raises(openai.NotFoundError, match=CHAT):
        client.chat.completions.create(model="smollm2-135m-instruc", messages=QUESTION)
    with pytest.raises(openai.BadRequestError, match="8192"):
        client.chat.completions.create(model=CHAT, messages=[{"role": "user", "content": "word " * 9000}])
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(api_key="tm_wrong", base_url=platform.address + "/openai/v1").models.list()
    with pytest.raises(Exception, match="temperature"):
        mistral.chat.complete(model=CHAT, messages=QUESTION, temperature=99)
