"""Thoughts that other servers leave in the text of an answer, as the engine's own models' thoughts come out."""

from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.model_server import answer, assert_one_last_word, chat, spend_of, text_of
from tests.fakes.openai_server import API_KEY, MODEL, OpenAIServer, serving

from tramontane.adapters.servers.upstream import UpstreamServer, UpstreamSettings, connect
from tramontane.adapters.servers.upstream.reading import ChunkReader
from tramontane.adapters.servers.upstream.thoughts import MOST_SPACE, LeadingThoughts
from tramontane.foundation.events import Candidate, Event, TextDelta, ThinkingDelta, TokenChoice
from tramontane.foundation.nouns import Message, TextChunk

Far = tuple[OpenAIServer, UpstreamServer]


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    behind = OpenAIServer()
    async with serving(behind) as address:
        server = await connect("far", UpstreamSettings(base_url=address, upstream_model=MODEL, api_key=API_KEY))
        yield behind, server
        await server.close()


def thought_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, ThinkingDelta))


def closed(events: Sequence[Event]) -> list[bool]:
    return [event.closed for event in events if isinstance(event, ThinkingDelta)]


def said(*texts: str) -> list[dict[str, Any]]:
    return [{"content": text} for text in texts]


@pytest.mark.parametrize(
    ("deltas", "thought", "text"),
    [
        (said("<think>\nso", " be it</think>\n\nYes."), "so be it", "Yes."),
        (said("\n", "<th", "ink", ">a<b", "</", "thin", "k>", "\n", "\nYes."), "a<b", "Yes."),
        (said("[THINK]hm[/THINK]Yes."), "hm", "Yes."),
        (said("<think>\n\n</think>\n\nYes."), "", "Yes."),
        (said("<thinking aloud> is", " a tag"), "", "<thinking aloud> is a tag"),
        (said("It says <think>", "no</think>"), "", "It says <think>no</think>"),
        (said("<think>one</think>two", " <think>three</think>"), "one", "two <think>three</think>"),
        (said("<think>never", " ends </thi"), "never ends </thi", ""),
        (said("<thi"), "", "<thi"),
        (said("\n \n"), "", "\n \n"),
        ([{"reasoning_content": "hm"}, *said("<think>is", " a tag</think>")], "hm", "<think>is a tag</think>"),
        ([*said("\n"), {"reasoning": "hm"}, *said("Yes.")], "hm", "\nYes."),
    ],
)
async def test_thoughts_at_the_beginning_are_told_apart(
    far: Far, deltas: list[dict[str, Any]], thought: str, text: str
) -> None:
    far[0].saying = deltas
    events = await answer(far[1], chat("t1"))
    assert_one_last_word(events)
    assert (thought_of(events), text_of(events)) == (thought, text)


async def test_what_ends_the_thoughts_says_so_and_they_are_counted(far: Far) -> None:
    far[0].saying = said("<think>", "one", " two", "</think>", "Yes", ".")
    events = await answer(far[1], chat("c1"))
    assert closed(events) == [False, False, True]
    spend = spend_of(events)
    assert (spend.generated_tokens, spend.reasoning_tokens) == (6, 4)


async def test_an_answer_that_the_caller_has_begun_is_past_its_thoughts(far: Far) -> None:
    far[0].saying = said("<think>is a tag</think>")
    begun = Message(role="assistant", content=(TextChunk("The mark "),), prefix=True)
    messages = (Message(role="user", content=(TextChunk("which"),)), begun)
    events = await answer(far[1], chat("p1", messages=messages))
    assert (thought_of(events), text_of(events)) == ("", "The mark <think>is a tag</think>")


async def test_a_call_comes_after_the_thoughts_that_led_to_it(far: Far) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "look", "arguments": "{}"}}
    far[0].saying = [*said("<think>look</th"), {"tool_calls": [call]}]
    events = await answer(far[1], chat("f1"))
    assert [type(event).__name__ for event in events[:3]] == ["ThinkingDelta", "ThinkingDelta", "ToolCallDelta"]


def test_texts_that_are_no_chats_are_left_alone() -> None:
    events = ChunkReader(1).line(b'data: {"choices": [{"index": 0, "text": "<think>a</think>"}]}')
    assert text_of(events) == "<think>a</think>"


def test_choices_think_each_for_itself() -> None:
    reader = ChunkReader(2, thinks=True)
    lines = [
        b'data: {"choices": [{"index": 0, "delta": {"content": "<think>a"}}]}',
        b'data: {"choices": [{"index": 1, "delta": {"content": "b"}}]}',
        b'data: {"choices": [{"index": 0, "delta": {"content": "</think>c"}}]}',
    ]
    events = [event for line in lines for event in reader.line(line)]
    assert (thought_of(events), text_of(events, 0), text_of(events, 1)) == ("a", "c", "b")


def test_probabilities_stay_with_the_answer() -> None:
    token = TokenChoice(Candidate("x", b"x", -1.0), ())
    thoughts = LeadingThoughts(0)
    events = [event for text in ("<", "think>a", "</think>", "b") for event in thoughts.push(text, 1, (token,))]
    assert [event.logprobs for event in events if isinstance(event, TextDelta)] == [(token,)]
    plain = LeadingThoughts(0)
    events = [event for text in ("<", "b") for event in plain.push(text, 1, (token,))]
    assert [event.logprobs for event in events if isinstance(event, TextDelta)] == [(token, token)]


def test_white_space_is_not_held_back_for_ever() -> None:
    assert text_of(LeadingThoughts(0).push(" " * (MOST_SPACE + 1), 1, None)) == " " * (MOST_SPACE + 1)


PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "/", "think>", "[THINK]", "[/THINK]", "\n", "a", " ", " " * 40])
)


@given(PIECES, st.lists(st.integers(0, 200)))
def test_the_same_comes_out_however_the_text_was_cut(pieces: list[str], cuts: list[int]) -> None:
    whole = "".join(pieces)
    at = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    parts = [whole[begin:end] for begin, end in pairwise(at)]
    ways = []
    for texts in ([whole], parts):
        thoughts = LeadingThoughts(0)
        events = [event for text in texts for event in thoughts.push(text, 1, None)] + thoughts.settle()
        ways.append((thought_of(events), text_of(events)))
    assert ways[0] == ways[1]
