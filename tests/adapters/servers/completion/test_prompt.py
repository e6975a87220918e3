"""Asks are checked for one model and fitted into its context; every refusal names the field and the cure."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.asks import ADD, assistant, chat, schema_ask, system, user

from tramontane.adapters.servers.completion.profile import ModelProfile, ThinkingFormat
from tramontane.adapters.servers.completion.prompt import read
from tramontane.foundation.errors import BadRequest, ContextExceeded, InvalidFields, TramontaneError
from tramontane.foundation.nouns import (
    AnswerFormat,
    Ask,
    ImageChunk,
    Limits,
    Message,
    Sampling,
    TextChunk,
    ToolChoice,
)

pytestmark = pytest.mark.models


def test_a_chat(profile: ModelProfile) -> None:
    rendered = read(chat(system("Be brief."), user("Hi")), profile)
    text = b"".join(profile.tokenizer.token_bytes(token) for token in rendered.tokens).decode()
    assert text == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert profile.tokenizer.special_ids["<|im_end|>"] in rendered.stop_tokens
    assert rendered.max_tokens == profile.context_tokens - len(rendered.tokens)


def test_too_long_names_both_numbers(profile: ModelProfile) -> None:
    ask = chat(user("word " * 9000))
    with pytest.raises(ContextExceeded) as caught:
        read(ask, profile)
    assert profile.chat is not None
    assert str(len(profile.chat.encode(ask).tokens)) in caught.value.message and "8192" in caught.value.message


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 8300), wanted=st.none() | st.integers(0, 20_000))
def test_prompt_and_answer_always_fit(profile: ModelProfile, length: int, wanted: int | None) -> None:
    ask = Ask(id="a", model="m", kind="text", prompt_tokens=(30,) * length, limits=Limits(max_tokens=wanted))
    if length >= profile.context_tokens:
        with pytest.raises(ContextExceeded):
            read(ask, profile)
        return
    rendered = read(ask, profile)
    assert len(rendered.tokens) + rendered.max_tokens <= profile.context_tokens
    assert wanted is None or rendered.max_tokens == min(wanted, profile.context_tokens - length)


def _image() -> Message:
    return Message(role="user", content=(TextChunk("What is this?"), ImageChunk("data:image/png;base64,AAAA")))


_REFUSED: list[tuple[Ask, str]] = [
    (chat(user("a"), assistant("b")), "messages.1.role"),
    (chat(user("a"), _image()), "messages.1.content"),
    (chat(tool_choice=ToolChoice(mode="any")), "tool_choice"),
    (chat(tools=(ADD,), tool_choice=ToolChoice(mode="named", name="sub")), "tool_choice"),
    (chat(tools=(ADD, ADD)), "tools"),
    (
        chat(tools=(ADD,), tool_choice=ToolChoice(mode="any"), answer=AnswerFormat(kind="json_object")),
        "response_format",
    ),
    (chat(sampling=Sampling(logit_bias={49152: 1.0})), "logit_bias"),
    (chat(sampling=Sampling(logit_bias={-1: 1.0})), "logit_bias"),
    (Ask(id="a", model="m", kind="text", prompt_tokens=(3, 99_999_999)), "prompt"),
    (Ask(id="a", model="m", kind="text"), "prompt"),
]


@pytest.mark.parametrize(("ask", "field"), _REFUSED)
def test_refused_by_name(profile: ModelProfile, ask: Ask, field: str) -> None:
    with pytest.raises(InvalidFields) as caught:
        read(ask, profile)
    assert caught.value.param == field


def test_base_models_do_not_chat(profile: ModelProfile) -> None:
    base = dataclasses.replace(profile, chat=None)
    with pytest.raises(BadRequest, match="base model"):
        read(chat(), base)
    with pytest.raises(BadRequest, match="suffix"):
        read(Ask(id="a", model="m", kind="fim", prompt="a", suffix="b = 1"), base)


def test_prefix_and_schema(profile: ModelProfile) -> None:
    rendered = read(chat(user("hi"), assistant("Sure: ", prefix=True)), profile)
    assert rendered.answer_prefix == "Sure: "
    text = profile.tokenizer.decode(read(schema_ask({"type": "object"}), profile).tokens)
    assert 'Your output should be an instance of a JSON object following this schema: {"type": "object"}' in text


def test_stop_strings_and_prediction(profile: ModelProfile) -> None:
    rendered = read(chat(limits=Limits(stop=("END", "", "END"))), profile)
    assert rendered.stop == ("END",)
    assert read(chat(prediction="def f():"), profile).guess_from == profile.tokenizer.encode("def f():")


def test_text_with_echo(profile: ModelProfile) -> None:
    rendered = read(Ask(id="a", model="m", kind="text", prompt="Once upon", echo=True), profile)
    assert rendered.answer_prefix == "Once upon"
    assert rendered.tokens == profile.tokenizer.encode("Once upon")
    tokens = tuple(rendered.tokens)
    assert (
        read(Ask(id="a", model="m", kind="text", prompt_tokens=tokens, echo=True), profile).answer_prefix == "Once upon"
    )


def test_fim_without_trained_tokens(profile: ModelProfile) -> None:
    alone = read(Ask(id="a", model="m", kind="fim", prompt="def f("), profile)
    assert alone.tokens == profile.tokenizer.encode("def f(")
    around = read(
        Ask(id="a", model="m", kind="fim", prompt="def add(a, b):\n    ", suffix="\n\nprint(add(1, 2))"), profile
    )
    text = profile.tokenizer.decode(around.tokens)
    assert text.endswith("```\ndef add(a, b):\n    ")
    assert "print(add(1, 2))" in text and "print(add(1, 2))" in around.stop


def test_a_template_that_opens_the_thoughts(profile: ModelProfile) -> None:
    class Opening:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def encode(self, ask: Ask) -> Any:
            return dataclasses.replace(self._inner.encode(ask), tail="<|assistant|>\n<think>\n")

    thinker = dataclasses.replace(profile, chat=Opening(profile.chat), thinking=ThinkingFormat("<think>", "</think>"))
    assert read(chat(), thinker).thinking
    assert not read(chat(), profile).thinking


@settings(max_examples=60, deadline=None)
@given(
    roles=st.lists(st.sampled_from(["system", "user", "assistant", "tool"]), max_size=5),
    text=st.text(max_size=20),
    prefix=st.booleans(),
)
def test_any_conversation_is_rendered_or_refused_with_a_cure(
    profile: ModelProfile, roles: list[Any], text: str, prefix: bool
) -> None:
    messages = tuple(
        Message(role=role, content=(TextChunk(text),), prefix=prefix and place == len(roles) - 1)
        for place, role in enumerate(roles)
    )
    try:
        rendered = read(Ask(id="a", model="m", messages=messages), profile)
    except TramontaneError as error:
        assert isinstance(error, BadRequest | InvalidFields) and error.message
    else:
        assert rendered.tokens and rendered.max_tokens > 0
