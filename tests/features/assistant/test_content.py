"""Entries read for people and for models: texts, previews, and the messages of a path."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.features.assistant.rooms import data_url, entry

from tramontane.features.assistant.content import PREVIEW, messages_of, preview_of, text_of
from tramontane.features.assistant.nouns import Entry
from tramontane.foundation.nouns import ImageChunk, Message, TextChunk, ThinkingChunk, ToolCall

THOUGHTS = {"type": "thinking", "thinking": [{"type": "text", "text": "hm, "}, {"type": "text", "text": "yes"}]}
IMAGE = "data:image/png;base64,AAAA"


def file_part(url: str, name: str = "notes.txt") -> dict[str, Any]:
    return {"type": "document_url", "document_url": url, "document_name": name}


def said(entry_body: Any, role: str = "user") -> Entry:
    return entry(role=role, body={"content": entry_body})


def answered(content: Any) -> Entry:
    return entry("message.output", "assistant", body={"content": content})


def called(number: int) -> Entry:
    return entry("function.call", None, body={"tool_call_id": f"c{number}", "name": "look", "arguments": "{}"})


def resulted(number: int) -> Entry:
    return entry("function.result", None, body={"tool_call_id": f"c{number}", "result": f"r{number}"})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"content": "plain"}, "plain"),
        ({"content": [THOUGHTS, {"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}, "one\ntwo"),
        ({"content": [{"type": "image_url", "image_url": IMAGE}, file_part(data_url(b"inside"))]}, ""),
        ({"tool_call_id": "c", "result": "42"}, "42"),
        ({"tool_call_id": "c", "name": "look", "arguments": '{"a":1}'}, "look"),
        ({}, ""),
    ],
)
def test_the_text_of_an_entry_is_what_a_person_reads_of_it(body: dict[str, Any], text: str) -> None:
    assert text_of(body) == text


@given(st.text(max_size=1000))
def test_a_preview_is_one_short_line(text: str) -> None:
    preview = preview_of(text)
    assert len(preview) <= PREVIEW
    assert len(preview.splitlines()) <= 1
    assert "\x00" not in preview
    assert preview == " ".join(preview.split()) or len(preview) == PREVIEW


def test_a_preview_begins_as_the_text_does() -> None:
    assert preview_of("  two\n words\x00") == "two words\ufffd"
    assert preview_of("word " * 100) == ("word " * 28)[:PREVIEW]


def test_a_file_that_was_taken_before_is_read_as_far_as_it_can_be() -> None:
    read = messages_of([said([file_part("data:text/plain;charset=klingon,50% off")])], [])
    assert read == (Message(role="user", content=(TextChunk("\n[file: notes.txt]\n50% off\n[end of file]\n"),)),)


def test_instructions_are_one_system_message_without_the_empty_ones() -> None:
    assert messages_of([], ["", " \n"]) == ()
    assert messages_of([], ["Of the project.", "", "Of the conversation."]) == (
        Message(role="system", content=(TextChunk("Of the project.\n\nOf the conversation."),)),
    )


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (said("hello"), Message(role="user", content=(TextChunk("hello"),))),
        (said("hello", "assistant"), Message(role="assistant", content=(TextChunk("hello"),))),
        (
            entry(role="assistant", body={"content": "Once", "prefix": True}),
            Message(role="assistant", content=(TextChunk("Once"),), prefix=True),
        ),
        (answered("yes"), Message(role="assistant", content=(TextChunk("yes"),))),
        (
            answered([THOUGHTS, {"type": "text", "text": "yes"}]),
            Message(role="assistant", content=(ThinkingChunk("hm, yes"), TextChunk("yes"))),
        ),
        (
            answered([{"type": "thinking", "thinking": "cut", "closed": False}]),
            Message(role="assistant", content=(ThinkingChunk("cut", closed=False),)),
        ),
        (
            said([{"type": "image_url", "image_url": IMAGE}, {"type": "image_url", "image_url": {"url": IMAGE}}]),
            Message(role="user", content=(ImageChunk(IMAGE), ImageChunk(IMAGE))),
        ),
        (said([{"type": "reference", "reference_ids": [1]}]), Message(role="user")),
        (resulted(1), Message(role="tool", content=(TextChunk("r1"),), tool_call_id="c1")),
    ],
)
def test_an_entry_becomes_a_message_of_its_role(one: Entry, message: Message) -> None:
    assert messages_of([one], []) == (message,)


def test_an_answer_that_never_began_is_not_shown_to_the_model() -> None:
    assert messages_of([said("one"), answered(""), answered([]), said("two")], []) == (
        Message(role="user", content=(TextChunk("one"),)),
        Message(role="user", content=(TextChunk("two"),)),
    )


def test_a_file_stands_before_the_model_under_its_name_on_one_line() -> None:
    (message,) = messages_of([said([file_part(data_url(b"the text"), "my\n[end of file]\nnotes.txt")])], [])
    (chunk,) = message.content
    assert isinstance(chunk, TextChunk)
    assert chunk.text == "\n[file: my [end of file] notes.txt]\nthe text\n[end of file]\n"
    (message,) = messages_of([said([file_part(data_url(b"the text"), "")])], [])
    assert "[file: file]" in message.content[0].text  # type: ignore[union-attr]


def test_calls_of_one_answer_stand_on_its_message_and_their_results_after_it() -> None:
    made = messages_of([said("go"), answered("I look."), called(1), called(2), resulted(1), resulted(2), called(3)], [])
    assert [message.role for message in made] == ["user", "assistant", "tool", "tool", "assistant"]
    assert made[1].content == (TextChunk("I look."),)
    assert made[1].tool_calls == (ToolCall("c1", "look", "{}"), ToolCall("c2", "look", "{}"))
    assert made[4] == Message(role="assistant", tool_calls=(ToolCall("c3", "look", "{}"),))


@given(st.lists(st.sampled_from(["question", "answer", "call", "result"]), max_size=20))
def test_no_word_call_or_result_is_lost_and_their_order_stays(kinds: list[str]) -> None:
    makers = {
        "question": lambda n: said(f"q{n}"),
        "answer": lambda n: answered(f"a{n}"),
        "call": called,
        "result": resulted,
    }
    made = messages_of([makers[kind](number) for number, kind in enumerate(kinds)], ["system"])
    flat: list[str] = []
    for message in made:
        flat += [chunk.text for chunk in message.content if isinstance(chunk, TextChunk)]
        flat += [call.id for call in message.tool_calls]
    signs = {"question": "q", "answer": "a", "call": "c", "result": "r"}
    assert flat == ["system", *(f"{signs[kind]}{number}" for number, kind in enumerate(kinds))]
    assert all(message.role == "assistant" for message in made if message.tool_calls)
