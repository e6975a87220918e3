"""Streams as a whole, for any order of events: what clients put together is what the engine said."""

import json
from collections import defaultdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tramontane.entrypoints.api.dialects.frames import json_text
from tramontane.entrypoints.api.dialects.mistral_answers import MistralFrames
from tramontane.entrypoints.api.dialects.openai_answers import OpenAIFrames, TextFrames
from tramontane.foundation.events import (
    Candidate,
    ChoiceEnd,
    Event,
    Failed,
    Finished,
    TextDelta,
    ThinkingDelta,
    TokenChoice,
    ToolCallDelta,
)
from tramontane.foundation.nouns import Spend

CHOICES = 3
TEXT = st.text(alphabet=st.sampled_from('ab"\\\n\r\u2028\u2029\x85é👋{'), max_size=6)
LOGPROBS = st.none() | st.builds(
    lambda text: (TokenChoice(Candidate(text, text.encode(), -1.0, 3)),), st.text(alphabet="ab", min_size=1, max_size=2)
)


@st.composite
def one_choice(draw: st.DrawFn, index: int) -> list[Event]:
    """Thoughts, then text, then calls, then the end, as an answer reader gives them."""
    events: list[Event] = [ThinkingDelta(index, text) for text in draw(st.lists(TEXT, max_size=3))]
    if events:
        events.append(ThinkingDelta(index, draw(TEXT), 1, True))
    events += [TextDelta(index, draw(TEXT), 1, draw(LOGPROBS)) for _ in range(draw(st.integers(0, 4)))]
    events += [
        ToolCallDelta(index, position, f"id{position}", "f", "{}") for position in range(draw(st.integers(0, 2)))
    ]
    return [*events, ChoiceEnd(index, draw(st.sampled_from(["stop", "length", "tool_calls", "model_length"])))]


@st.composite
def conversations(draw: st.DrawFn) -> list[list[Event]]:
    """Several choices, interleaved, cut into steps."""
    left = [draw(one_choice(index)) for index in range(CHOICES)]
    steps: list[list[Event]] = [[]]
    while any(left):
        index = draw(st.sampled_from([index for index, events in enumerate(left) if events]))
        steps[-1].append(left[index].pop(0))
        if draw(st.booleans()):
            steps.append([])
    return steps


def frames_of(content: bytes) -> list[str]:
    text = content.decode()
    assert not set(text) & set("\u2028\u2029\x85\r"), "some readers end lines there"
    assert text.endswith("\n\n")
    frames = text.split("\n\n")[:-1]
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames)
    return [frame.removeprefix("data: ") for frame in frames]


def said(steps: list[list[Event]], kind: type[Any]) -> dict[int, str]:
    texts: dict[int, str] = defaultdict(str)
    for step in steps:
        for event in step:
            if isinstance(event, kind):
                texts[event.index] += event.text
    return texts


def gathered(
    chunks: list[dict[str, Any]],
) -> tuple[dict[int, str], dict[int, str], dict[int, list[str]], dict[int, str]]:
    """What a client puts together: text, thoughts, ids of calls, and how each choice ended."""
    text: dict[int, str] = defaultdict(str)
    thoughts: dict[int, str] = defaultdict(str)
    calls: dict[int, list[str]] = defaultdict(list)
    ends: dict[int, str] = {}
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        index, delta = choice["index"], choice["delta"]
        assert index not in ends, "nothing follows the end of a choice"
        content = delta.get("content") or ""
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                text[index] += part["text"]
            else:
                thoughts[index] += part["thinking"][0]["text"]
        thoughts[index] += delta.get("reasoning_content", "")
        calls[index] += [call["id"] for call in delta.get("tool_calls") or []]
        if choice["finish_reason"]:
            ends[index] = choice["finish_reason"]
    return text, thoughts, calls, ends


def check_whole(chunks: list[dict[str, Any]], steps: list[list[Event]]) -> None:
    text, thoughts, calls, ends = gathered(chunks)
    for index in range(CHOICES):
        assert text[index] == said(steps, TextDelta)[index]
        assert thoughts[index] == said(steps, ThinkingDelta)[index]
        expected = [e.id for step in steps for e in step if isinstance(e, ToolCallDelta) and e.index == index]
        assert calls[index] == expected
    assert sorted(ends) == list(range(CHOICES))
    assert "model_length" not in ends.values()
    for index in range(CHOICES):
        first = next(choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index)
        assert first["delta"]["role"] == "assistant"


@given(conversations())
def test_mistral_streams_say_what_the_engine_said(steps: list[list[Event]]) -> None:
    frames = MistralFrames("id", "mo\u2028del", 1, CHOICES)
    content = b"".join(frames.encode(step) for step in steps)
    assert not frames.done
    content += frames.encode([Finished(Spend(prompt_tokens=3, generated_tokens=4))])
    written = frames_of(content)
    assert (written[-1], frames.done) == ("[DONE]", True)
    chunks = [json.loads(frame) for frame in written[:-1]]
    check_whole(chunks, steps)
    assert [chunk["choices"] != [] for chunk in chunks] == [True] * len(chunks)
    assert ["usage" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["usage"]["total_tokens"] == 7


@given(conversations(), st.booleans())
def test_openai_streams_say_what_the_engine_said(steps: list[list[Event]], with_usage: bool) -> None:
    frames = OpenAIFrames("id", "model", 1, CHOICES, with_usage=with_usage)
    content = b"".join(frames.encode(step) for step in steps)
    written = frames_of(content + frames.encode([Finished(Spend(prompt_tokens=3, generated_tokens=4))]))
    assert written[-1] == "[DONE]"
    chunks = [json.loads(frame) for frame in written[:-1]]
    if with_usage:
        last = chunks.pop()
        assert (last["choices"], last["usage"]["total_tokens"]) == ([], 7)
        assert all(chunk["usage"] is None for chunk in chunks)
    else:
        assert all("usage" not in chunk for chunk in chunks)
    check_whole(chunks, steps)


@given(conversations(), st.booleans())
def test_text_streams_say_what_the_engine_said(steps: list[list[Event]], with_usage: bool) -> None:
    frames = TextFrames("id", "model", 1, CHOICES, with_usage=with_usage)
    content = b"".join(frames.encode(step) for step in steps)
    written = frames_of(content + frames.encode([Finished(Spend())]))
    chunks = [json.loads(frame) for frame in written[:-1]]
    for index in range(CHOICES):
        pieces = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
        spoken = "".join(
            e.text for s in steps for e in s if isinstance(e, TextDelta | ThinkingDelta) and e.index == index
        )
        assert "".join(piece["text"] for piece in pieces) == spoken
        assert [piece["finish_reason"] is None for piece in pieces] == [True] * (len(pieces) - 1) + [False]
        offsets = [offset for piece in pieces if piece["logprobs"] for offset in piece["logprobs"]["text_offset"]]
        assert offsets == sorted(set(offsets))


@given(conversations(), st.integers(0, 30))
def test_a_failure_ends_every_open_choice_once(steps: list[list[Event]], cut: int) -> None:
    for frames in (MistralFrames("id", "model", 1, CHOICES), OpenAIFrames("id", "model", 1, CHOICES, with_usage=False)):
        kept = steps[:cut]
        content = b"".join(frames.encode(step) for step in kept)
        content += frames.encode([Failed("engine_failed", "gone; try again")])
        written = frames_of(content)
        assert "[DONE]" not in written
        assert frames.done
        last = json.loads(written[-1])
        assert last["error"]["code"] == "engine_failed"
        if isinstance(frames, MistralFrames):
            _, _, _, ends = gathered([json.loads(frame) for frame in written])
            assert sorted(ends) == list(range(CHOICES))
            assert sum("error" in json.loads(frame) for frame in written) == 1


@given(st.text())
def test_spliced_text_is_json_on_one_line(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    encoded = json_text(text).decode()
    assert json.loads(encoded) == text
    assert len(encoded.splitlines()) == 1
