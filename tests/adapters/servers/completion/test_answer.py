"""Tokens become events: nothing is lost, no stop string leaks, calls and thoughts are told apart, for every split."""

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.asks import ADD, WEATHER, assistant, chat, user

from tramontane.adapters.servers.completion.answer import AnswerReader, new_call_id
from tramontane.adapters.servers.completion.profile import ModelProfile, ThinkingFormat
from tramontane.adapters.servers.completion.prompt import Rendered
from tramontane.adapters.servers.tokens import TokenLogprobs
from tramontane.foundation.events import ChoiceEnd, Event, TextDelta, ThinkingDelta, ToolCallDelta
from tramontane.foundation.nouns import Ask, ToolChoice

pytestmark = pytest.mark.models


def _rendered(**fields: object) -> Rendered:
    return Rendered(tokens=[1], max_tokens=100, stop_tokens=frozenset({2}), **fields)  # type: ignore[arg-type]


def _answer(
    ask: Ask, profile: ModelProfile, ids: Sequence[int], rendered: Rendered, sizes: Sequence[int] = (1,)
) -> tuple[list[Event], AnswerReader]:
    reader = AnswerReader(ask, profile, rendered, 0, call_id=lambda: "abcdefghi")
    events: list[Event] = []
    at = step = 0
    while at < len(ids) and not reader.stopped:
        size = sizes[step % len(sizes)]
        events += reader.push(ids[at : at + size])
        at, step = at + size, step + 1
    return events + reader.finish("stop"), reader


def _text(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


_SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(text=st.text("ab é日🙂\n<", max_size=30), sizes=_SIZES)
def test_plain_text_arrives_whole(profile: ModelProfile, text: str, sizes: list[int]) -> None:
    ids = profile.tokenizer.encode(text)
    events, _ = _answer(chat(), profile, ids, _rendered(), sizes)
    assert _text(events) == text
    assert events[-1] == ChoiceEnd(0, "stop")
    assert sum(event.tokens for event in events if isinstance(event, TextDelta)) == len(ids)


@settings(max_examples=200, deadline=None)
@given(
    text=st.text("abc é🙂", max_size=40),
    stops=st.lists(st.text("abc é🙂", min_size=1, max_size=5), min_size=1, max_size=4, unique=True),
    sizes=_SIZES,
)
def test_stop_strings_never_leak(profile: ModelProfile, text: str, stops: list[str], sizes: list[int]) -> None:
    events, reader = _answer(chat(), profile, profile.tokenizer.encode(text), _rendered(stop=tuple(stops)), sizes)
    shown = _text(events)
    assert not any(stop in shown for stop in stops)
    assert text.startswith(shown)
    assert reader.stopped == any(stop in text for stop in stops)
    assert reader.stopped or shown == text


def test_the_prefix_comes_before_the_answer(profile: ModelProfile) -> None:
    ask = chat(user("hi"), assistant("Sure, ", prefix=True))
    events, _ = _answer(ask, profile, profile.tokenizer.encode("here"), _rendered(answer_prefix="Sure, "))
    assert _text(events) == "Sure, here"
    events, _ = _answer(ask, profile, [], _rendered(answer_prefix="Sure, "))
    assert _text(events) == "Sure, "


@given(sizes=_SIZES)
@settings(deadline=None)
def test_calls_between_text(profile: ModelProfile, sizes: list[int]) -> None:
    text = 'One moment. <tool_call>{"name": "add", "arguments": {"x": 1}}</tool_call>\n'
    text += '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>'
    ask = chat(tools=(ADD, WEATHER))
    events, _ = _answer(ask, profile, profile.tokenizer.encode(text), _rendered(), sizes)
    assert _text(events) == "One moment. "
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert calls == [
        ToolCallDelta(0, 0, "abcdefghi", "add", '{"x": 1}'),
        ToolCallDelta(0, 1, "abcdefghi", "get_weather", '{"city": "Oslo"}'),
    ]
    assert events[-1] == ChoiceEnd(0, "tool_calls")


def test_a_broken_call_is_text(profile: ModelProfile) -> None:
    text = '<tool_call>{"name": "add", "arguments": {"x": </tool_call>'
    events, _ = _answer(chat(tools=(ADD,)), profile, profile.tokenizer.encode(text), _rendered())
    assert _text(events) == text
    assert events[-1] == ChoiceEnd(0, "stop")


def test_tools_that_are_forbidden_stay_text(profile: ModelProfile) -> None:
    text = '<tool_call>{"name": "add", "arguments": {"x": 1}}</tool_call>'
    ask = chat(tools=(ADD,), tool_choice=ToolChoice(mode="none"))
    events, _ = _answer(ask, profile, profile.tokenizer.encode(text), _rendered())
    assert _text(events) == text


@given(sizes=_SIZES)
@settings(deadline=None)
def test_thoughts(profile: ModelProfile, sizes: list[int]) -> None:
    thinker = dataclasses.replace(profile, thinking=ThinkingFormat("<think>", "</think>"))
    ids = profile.tokenizer.encode("<think>\nlet me see</think>\n\nYes, STOP no")
    events, reader = _answer(chat(), thinker, ids, _rendered(stop=("STOP", "me")), sizes)
    thoughts = [event for event in events if isinstance(event, ThinkingDelta)]
    assert "".join(event.text for event in thoughts) == "let me see"
    assert [event.closed for event in thoughts].count(True) == 1 and thoughts[-1].closed
    assert _text(events) == "Yes, "
    assert 0 < reader.reasoning_tokens <= len(ids)


def test_the_loops_reason_is_kept(profile: ModelProfile) -> None:
    reader = AnswerReader(chat(), profile, _rendered(), 3)
    reader.push(profile.tokenizer.encode("a"))
    assert reader.finish("length") == [ChoiceEnd(3, "length")]


def test_half_a_character_at_the_end(profile: ModelProfile) -> None:
    ids = profile.tokenizer.encode("🙂")
    events, _ = _answer(chat(), profile, ids[:-1], _rendered())
    assert _text(events) == "\ufffd"


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4), stop=st.booleans())
@settings(deadline=None)
def test_log_probabilities_stay_with_their_tokens(profile: ModelProfile, sizes: list[int], stop: bool) -> None:
    ids = profile.tokenizer.encode("abc 🙂 def")
    reader = AnswerReader(chat(logprobs=1), profile, _rendered(stop=("zz",) if stop else ()), 0)
    events: list[Event] = []
    at = step = 0
    while at < len(ids):
        part = ids[at : at + sizes[step % len(sizes)]]
        events += reader.push(part, [TokenLogprobs(-0.5, [(token, -0.5), (30, -2.0)]) for token in part])
        at, step = at + len(part), step + 1
    events += reader.finish("stop")
    choices = [choice for event in events if isinstance(event, TextDelta) for choice in event.logprobs or ()]
    assert [choice.taken.raw for choice in choices] == [profile.tokenizer.token_bytes(token) for token in ids]
    assert all(choice.top[0] == choice.taken and choice.top[1].logprob == -2.0 for choice in choices)


def test_call_ids_have_the_mistral_form() -> None:
    made = {new_call_id() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 9 and one.isalnum() and one.isascii() for one in made)


_CALL = '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'
_OTHER = '<tool_call>{"name": "add", "arguments": {"a": 3, "b": 4}}</tool_call>'


def test_a_forced_answer_that_repeats_a_call_has_ended(profile: ModelProfile) -> None:
    ask = chat(tools=(ADD,), tool_choice=ToolChoice(mode="any"))
    ids = profile.tokenizer.encode(f"{_CALL}\n{_OTHER}\n{_CALL}\n{_OTHER}")
    events, reader = _answer(ask, profile, ids, _rendered())
    assert reader.stopped
    calls = [event.arguments for event in events if isinstance(event, ToolCallDelta)]
    assert calls == ['{"a": 1, "b": 2}', '{"a": 3, "b": 4}']
    assert _text(events) == ""
    assert events[-1] == ChoiceEnd(0, "tool_calls")


def test_a_forced_call_cut_off_after_another_is_left_out(profile: ModelProfile) -> None:
    ask = chat(tools=(ADD,), tool_choice=ToolChoice(mode="any"))
    events, reader = _answer(ask, profile, profile.tokenizer.encode(_CALL + '\n<tool_call>{"na'), _rendered())
    assert not reader.stopped
    assert _text(events) == ""
    assert sum(isinstance(event, ToolCallDelta) for event in events) == 1
