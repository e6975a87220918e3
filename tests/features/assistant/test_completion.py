"""What is stored of a conversation becomes an ask field by field; what was not said stays open for the model's own advice."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.features.assistant.completion import ask_for
from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import AnswerFormat, Ask, Limits, Message, Sampling, TextChunk, Tool, ToolChoice

MESSAGES = (Message(role="user", content=(TextChunk("hello"),)),)
FUNCTION = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "strict": True}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def ask(args: dict[str, Any] | None = None, tools: list[dict[str, Any]] | None = None) -> Ask:
    return ask_for("request", "model", MESSAGES, tools or [], args or {}, 5000)


def test_without_arguments_everything_is_left_open() -> None:
    assert ask() == Ask(id="request", model="model", messages=MESSAGES, deadline_ms=5000)
    assert ask().sampling == Sampling()
    assert ask().limits == Limits()


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("temperature", 0.0, "temperature"),
        ("temperature", 0.7, "temperature"),
        ("top_p", 0.9, "top_p"),
        ("top_k", 0, "top_k"),
        ("min_p", 0.1, "min_p"),
        ("random_seed", 0, "seed"),
        ("presence_penalty", -1.0, "presence_penalty"),
        ("frequency_penalty", 1.5, "frequency_penalty"),
    ],
)
def test_each_sampling_argument_sets_its_own_field(name: str, value: float, field: str) -> None:
    """A zero is a choice too."""
    assert ask({name: value}).sampling == Sampling(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "stop"),
    [(None, ()), ("", ()), ([], ()), ("END", ("END",)), (["a", "b"], ("a", "b"))],
)
def test_one_stop_or_several(written: Any, stop: tuple[str, ...]) -> None:
    assert ask({"stop": written, "max_tokens": 7}).limits == Limits(max_tokens=7, stop=stop)


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        (None, AnswerFormat()),
        ({"type": "text"}, AnswerFormat()),
        ({"type": "json_object"}, AnswerFormat(kind="json_object")),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
            AnswerFormat(kind="json_schema", name="n", schema=SCHEMA, strict=True),
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
            AnswerFormat(kind="json_schema", name="n", schema=SCHEMA, strict=False),
        ),
    ],
)
def test_formats_of_answers(written: Any, answer: AnswerFormat) -> None:
    assert ask({"response_format": written}).answer == answer


def test_tools_are_functions_with_what_was_left_out_empty() -> None:
    plain = {"type": "function", "function": {"name": "plain"}}
    assert ask(tools=[FUNCTION, plain]).tools == (
        Tool(name="look", parameters={"type": "object"}, strict=True),
        Tool(name="plain"),
    )


@pytest.mark.parametrize(
    ("written", "choice"),
    [
        (None, ToolChoice()),
        ("auto", ToolChoice()),
        ("none", ToolChoice(mode="none")),
        ("any", ToolChoice(mode="any")),
        ("required", ToolChoice(mode="any")),
    ],
)
def test_choices_of_tools(written: str | None, choice: ToolChoice) -> None:
    assert ask({"tool_choice": written}, [FUNCTION]).tool_choice == choice


@pytest.mark.parametrize("written", ["any", "required"])
def test_a_call_cannot_be_required_where_there_is_nothing_to_call(written: str) -> None:
    with pytest.raises(InvalidFields, match="tools is empty") as refused:
        ask({"tool_choice": written})
    assert refused.value.param == "completion_args.tool_choice"
    assert ask({"tool_choice": "none"}).tool_choice.mode == "none"


def test_nothing_to_answer_is_refused() -> None:
    with pytest.raises(InvalidFields, match="send inputs"):
        ask_for("request", "model", (), [], {}, None)


@pytest.mark.parametrize(("written", "guess"), [(None, None), ({"type": "content", "content": ""}, None),
                                                ({"type": "content", "content": "as before"}, "as before")])  # fmt: skip
def test_an_empty_prediction_is_none(written: Any, guess: str | None) -> None:
    assert ask({"prediction": written}).prediction == guess


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.floats(0, 1.5),
            "top_k": st.integers(0, 100),
            "max_tokens": st.integers(0, 5000),
            "random_seed": st.integers(0, 2**31),
            "reasoning_effort": st.sampled_from(["none", "high"]),
            "stop": st.lists(st.text(min_size=1, max_size=5), max_size=3),
            "a field of tomorrow": st.text(),
        },
    )
)
def test_what_was_said_is_asked_and_nothing_else(args: dict[str, Any]) -> None:
    """Also when arguments are stored that this release does not know."""
    made = ask(args)
    said = {
        "temperature": made.sampling.temperature,
        "top_k": made.sampling.top_k,
        "max_tokens": made.limits.max_tokens,
        "random_seed": made.sampling.seed,
        "reasoning_effort": made.reasoning_effort,
    }
    assert said == {name: args.get(name) for name in said}
    assert made.limits.stop == tuple(args.get("stop", ()))
