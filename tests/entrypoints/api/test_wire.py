"""Every answer's exact bytes, one golden file per dialect and case. `TRAMONTANE_TEST_REWRITE=1` writes them anew."""

import json
import os
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

WIRE = Path(__file__).parents[2] / "wire"
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "fake", "messages": [{"role": "user", "content": text}], **fields}


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "mistral_chat": ("/v1/chat/completions", chat("hello")),
    "mistral_chat_two": ("/v1/chat/completions", chat("hello", n=2)),
    "mistral_chat_logprobs": ("/v1/chat/completions", chat("hello", logprobs=True, top_logprobs=2)),
    "mistral_chat_tools": ("/v1/chat/completions", chat("hello", tools=[TOOL])),
    "mistral_chat_thinking": ("/v1/chat/completions", chat("think")),
    "mistral_chat_stream": ("/v1/chat/completions", chat("hello", stream=True)),
    "mistral_chat_stream_two": ("/v1/chat/completions", chat("hello", stream=True, n=2)),
    "mistral_chat_stream_logprobs": ("/v1/chat/completions", chat("hello", stream=True, logprobs=True)),
    "mistral_chat_stream_tools": ("/v1/chat/completions", chat("hello", stream=True, tools=[TOOL])),
    "mistral_chat_stream_thinking": ("/v1/chat/completions", chat("think", stream=True)),
    "mistral_chat_stream_failure": ("/v1/chat/completions", chat("fail", stream=True)),
    "mistral_chat_failure": ("/v1/chat/completions", chat("fail")),
    "mistral_fim": ("/v1/fim/completions", {"model": "fake", "prompt": "def f(", "suffix": "return x"}),
    "mistral_fim_stream": ("/v1/fim/completions", {"model": "fake", "prompt": "def f(", "stream": True}),
    "mistral_embeddings": ("/v1/embeddings", {"model": "fake", "input": ["one", "two words"]}),
    "mistral_unknown_model": ("/v1/chat/completions", {**chat("hello"), "model": "fakk"}),
    "mistral_wrong_fields": ("/v1/chat/completions", chat("hello", temperature=1.6, top_p="high", n=0)),
    "openai_chat": ("/openai/v1/chat/completions", chat("hello")),
    "openai_chat_logprobs": ("/openai/v1/chat/completions", chat("hello", logprobs=True, top_logprobs=2)),
    "openai_chat_tools": ("/openai/v1/chat/completions", chat("hello", tools=[TOOL])),
    "openai_chat_thinking": ("/openai/v1/chat/completions", chat("think")),
    "openai_chat_stream": ("/openai/v1/chat/completions", chat("hello", stream=True)),
    "openai_chat_stream_usage": (
        "/openai/v1/chat/completions",
        chat("hello", stream=True, stream_options={"include_usage": True}),
    ),
    "openai_chat_stream_tools": ("/openai/v1/chat/completions", chat("hello", stream=True, tools=[TOOL])),
    "openai_chat_stream_thinking": ("/openai/v1/chat/completions", chat("think", stream=True)),
    "openai_chat_stream_failure": ("/openai/v1/chat/completions", chat("fail", stream=True)),
    "openai_completion": ("/openai/v1/completions", {"model": "fake", "prompt": "hello", "logprobs": 2}),
    "openai_completion_stream": (
        "/openai/v1/completions",
        {"model": "fake", "prompt": "hello", "stream": True, "logprobs": 1, "stream_options": {"include_usage": True}},
    ),
    "openai_embeddings_base64": (
        "/openai/v1/embeddings",
        {"model": "fake", "input": "one", "encoding_format": "base64", "dimensions": 4},
    ),
    "openai_unknown_model": ("/openai/v1/chat/completions", {**chat("hello"), "model": "fakk"}),
    "openai_wrong_fields": ("/openai/v1/chat/completions", chat("hello", temperature=2.5)),
}


def settled(text: str) -> str:
    """The answer without what changes from run to run."""
    text = re.sub(r'"id":"[0-9a-f]{32}"', '"id":"REQUEST"', text)
    return re.sub(r'"created":\d+', '"created":0', text)


@pytest.mark.parametrize("case", CASES)
async def test_the_answer_is_exactly_the_golden_one(client: httpx2.AsyncClient, case: str) -> None:
    path, body = CASES[case]
    response = await client.post(path, json=body)
    written = f"{response.status_code} {response.headers['content-type']}\n{settled(response.text)}"
    golden = WIRE / f"{case}.txt"
    if os.environ.get("TRAMONTANE_TEST_REWRITE"):
        golden.write_text(written)
    assert written == golden.read_text()


def chunks_of(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    return [json.loads(line) for line in lines if line != "[DONE]"]


async def test_every_mistral_chunk_has_the_keys_clients_require(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/chat/completions", json=chat("hello", stream=True, n=2))
    chunks = chunks_of(response.text)
    assert response.text.endswith("data: [DONE]\n\n")
    assert all("finish_reason" in choice for chunk in chunks for choice in chunk["choices"])
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk.get("usage") is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_no_frame_holds_a_character_that_ends_lines_for_some_readers(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/chat/completions", json=chat("hello", stream=True))
    assert "\u2028" not in response.text
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks_of(response.text))
    assert text == "Bonjour à tous\u2028 👋"


async def test_the_request_id_is_on_every_answer_and_is_the_answers_id(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/chat/completions", json=chat("hello"))
    assert response.headers["x-request-id"] == response.headers["mistral-correlation-id"] == response.json()["id"]
