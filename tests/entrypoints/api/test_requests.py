"""What clients write becomes the ask the engine reads."""

from typing import Any

import msgspec
import pytest

from tramontane.entrypoints.api.body import parse
from tramontane.entrypoints.api.dialects.mistral import SAFE_PROMPT, MistralChat, MistralFim
from tramontane.entrypoints.api.dialects.openai import OpenAIChat, OpenAICompletion
from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import (
    AnswerFormat,
    Ask,
    ImageChunk,
    Limits,
    Message,
    Sampling,
    TextChunk,
    ThinkingChunk,
    Tool,
    ToolCall,
    ToolChoice,
)

HELLO = [{"role": "user", "content": "hello"}]


def mistral(**fields: Any) -> Ask:
    return parse(msgspec.json.encode({"model": "m", "messages": HELLO, **fields}), MistralChat, 64).read("id", 500)


def openai(**fields: Any) -> Ask:
    return parse(msgspec.json.encode({"model": "m", "messages": HELLO, **fields}), OpenAIChat, 64).read("id")


def completions(**fields: Any) -> tuple[Ask, ...]:
    return parse(msgspec.json.encode({"model": "m", **fields}), OpenAICompletion, 64).read("id")


def completion(**fields: Any) -> Ask:
    (ask,) = completions(**fields)
    return ask


def test_the_plainest_request_has_the_engines_defaults() -> None:
    hello = Message(role="user", content=(TextChunk("hello"),))
    assert mistral() == Ask(id="id", model="m", messages=(hello,), deadline_ms=500)
    assert openai() == Ask(id="id", model="m", messages=(hello,))


def test_every_sampling_field_arrives() -> None:
    ask = mistral(
        temperature=0.5, top_p=0.9, top_k=40, min_p=0.05, random_seed=3, presence_penalty=1, frequency_penalty=-1,
        repetition_penalty=1.1, logit_bias={"7": 2}, max_tokens=20, min_tokens=2, stop="END", ignore_eos=True, n=2,
        logprobs=True, top_logprobs=4, reasoning_effort="none",
    )  # fmt: skip
    assert ask.sampling == Sampling(
        temperature=0.5, top_p=0.9, top_k=40, min_p=0.05, seed=3, presence_penalty=1.0, frequency_penalty=-1.0,
        repetition_penalty=1.1, logit_bias={7: 2.0},
    )  # fmt: skip
    assert ask.limits == Limits(max_tokens=20, min_tokens=2, stop=("END",), ignore_eos=True)
    assert (ask.n, ask.logprobs, ask.reasoning_effort) == (2, 4, "none")


def test_nulls_mean_the_default() -> None:
    names = "temperature top_p top_k max_tokens min_tokens stop n seed random_seed presence_penalty repetition_penalty"
    names += " logprobs top_logprobs tools tool_choice parallel_tool_calls response_format stream logit_bias prediction"
    nulls = dict.fromkeys(names.split())
    assert mistral(**nulls) == mistral()
    assert openai(**nulls) == openai()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, None),
        ({"logprobs": False}, None),
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 20}, 20),
    ],
)
def test_log_probabilities(written: dict[str, Any], expected: int | None) -> None:
    assert openai(**written).logprobs == expected


def test_the_newer_name_of_the_token_limit_wins() -> None:
    assert openai(max_tokens=5, max_completion_tokens=7).limits.max_tokens == 7
    assert openai(seed=-1).sampling.seed == 2**63 - 1
    assert mistral(seed=4).sampling.seed == 4
    assert mistral(seed=4, random_seed=0).sampling.seed == 0


def test_all_kinds_of_content() -> None:
    ask = mistral(
        messages=[
            {"role": "developer", "content": [{"type": "text", "text": "be brief"}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is this"},
                    {"type": "image_url", "image_url": "data:image/png;base64,AA"},
                    {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
                    {"type": "text", "text": "a dot"},
                    {"type": "reference", "reference_ids": [1]},
                ],
                "tool_calls": [{"function": {"name": "look", "arguments": {"at": "it"}}, "index": 0}],
                "refusal": None,
            },
            {"role": "tool", "content": [{"type": "text", "text": "seen"}], "tool_call_id": "null", "name": "look"},
            {"role": "assistant", "reasoning_content": "so", "content": "It is", "prefix": True},
        ]
    )
    system, user, assistant, tool, prefix = ask.messages
    assert system == Message(role="system", content=(TextChunk("be brief"),))
    assert user.content[1:] == (ImageChunk("data:image/png;base64,AA"), ImageChunk("data:x", "low"))
    assert assistant.content == (ThinkingChunk("hm"), TextChunk("a dot"))
    assert assistant.tool_calls == (ToolCall("null", "look", '{"at":"it"}'),)
    assert (tool.role, tool.content, tool.tool_call_id, tool.name) == ("tool", (TextChunk("seen"),), "null", "look")
    assert prefix == Message(role="assistant", content=(ThinkingChunk("so"), TextChunk("It is")), prefix=True)


def test_tools_and_their_choice() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}]
    ask = mistral(tools=tools)
    assert ask.tools == (Tool(name="f", description="d", parameters={"type": "object"}),)
    assert ask.tool_choice == ToolChoice()
    assert mistral(tools=tools, tool_choice="required").tool_choice == ToolChoice(mode="any")
    assert mistral(tools=tools, tool_choice="any", parallel_tool_calls=False).tool_choice == ToolChoice(
        mode="any", parallel=False
    )
    assert mistral(tools=tools, tool_choice="none").tool_choice.mode == "none"
    named = {"type": "function", "function": {"name": "f"}}
    assert openai(tools=tools, tool_choice=named).tool_choice == ToolChoice(mode="named", name="f")


def test_formats() -> None:
    assert mistral(response_format={"type": "text"}).answer == AnswerFormat()
    assert mistral(response_format={"type": "json_object"}).answer == AnswerFormat(kind="json_object")
    shape = {"name": "p", "schema": {"type": "object"}, "strict": True}
    assert mistral(response_format={"type": "json_schema", "json_schema": shape}).answer == AnswerFormat(
        kind="json_schema", name="p", schema={"type": "object"}, strict=True
    )
    del shape["strict"]
    assert openai(response_format={"type": "json_schema", "json_schema": shape}).answer.strict is False


def test_the_safe_mode_stands_first() -> None:
    assert mistral(safe_prompt=True).messages[0] == Message(role="system", content=(TextChunk(SAFE_PROMPT),))
    kept = mistral(safe_prompt=True, messages=[{"role": "system", "content": "be brief"}, *HELLO]).messages
    assert [chunk.text for chunk in kept[0].content] == [SAFE_PROMPT + "\n\n", "be brief"]
    assert len(kept) == 2


def test_a_forced_call_and_a_json_answer_exclude_each_other() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    with pytest.raises(InvalidFields, match="exclude each other"):
        mistral(tools=tools, tool_choice="any", response_format={"type": "json_object"})


def test_fill_in_the_middle() -> None:
    content = msgspec.json.encode({"model": "m", "prompt": "a", "suffix": "b", "random_seed": 1, "min_tokens": 2})
    ask = parse(content, MistralFim, 64).read("id")
    assert (ask.kind, ask.prompt, ask.suffix, ask.sampling.seed, ask.limits.min_tokens) == ("fim", "a", "b", 1, 2)


def test_plain_completions() -> None:
    ask = completion(prompt="a", logprobs=2, echo=True)
    assert (ask.kind, ask.prompt, ask.echo, ask.logprobs, ask.limits.max_tokens) == ("text", "a", True, 2, 16)
    assert completion(prompt=[1, 2]).prompt_tokens == (1, 2)
    assert completion(prompt=[[1, 2]]).prompt_tokens == (1, 2)
    assert completion(prompt=["a"]).prompt == "a"
    assert completion(prompt="a", suffix="b").kind == "fim"
    for wrong in (
        {"prompt": ["a"] * 65},
        {"prompt": [[1]] * 65},
        {"prompt": ["a", [1]]},
        {"prompt": [[1], []]},
        {"prompt": []},
        {"prompt": "a", "best_of": 3},
        {"prompt": [1], "suffix": "b"},
        {"prompt": [[1], [2]], "suffix": "b"},
    ):
        with pytest.raises(InvalidFields):
            completion(**wrong)


def test_several_prompts_are_as_many_asks_alike_in_all_else() -> None:
    asks = completions(prompt=["a", "b", "c"], n=2, seed=4, logprobs=1, stop="x")
    assert [(ask.id, ask.prompt) for ask in asks] == [("id", "a"), ("id-1", "b"), ("id-2", "c")]
    assert all(msgspec.structs.replace(ask, id="id", prompt="a") == asks[0] for ask in asks)
    assert [ask.prompt_tokens for ask in completions(prompt=[[1, 2], [3]])] == [(1, 2), (3,)]
    assert [(ask.kind, ask.suffix) for ask in completions(prompt=["a", "b"], suffix="z")] == [("fim", "z")] * 2
    assert len(completions(prompt=["a"] * 64)) == 64


def test_only_text_is_answered() -> None:
    assert openai(modalities=["text"]).kind == "chat"
    with pytest.raises(InvalidFields, match="only text"):
        openai(modalities=["text", "audio"])
