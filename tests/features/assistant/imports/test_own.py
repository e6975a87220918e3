"""Our own exports, read as strictly as a stranger's: only known fields, each of its type."""

from typing import Any

import pytest
from hypothesis import given
from tests.features.assistant.imports.spoiling import ANY_JSON, check, spoiled

from tramontane.features.assistant.exporting import FORMAT
from tramontane.features.assistant.files import UNREADABLE
from tramontane.features.assistant.imports import own
from tramontane.features.assistant.imports.nouns import NS, Unreadable

PICTURE = "data:image/png;base64,iVBORw0KGgo="
NOTE = "data:text/plain;base64,eA=="
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def entry(name: str, parent_id: str | None, kind: str = "message.input", **more: Any) -> dict[str, Any]:
    role = {"message.input": "user", "message.output": "assistant"}.get(kind)
    known = {
        "id": name,
        "parent_id": parent_id,
        "type": kind,
        "role": role,
        "status": "done",
        "body": {"content": name},
    }
    return {**known, "created_at": "2023-11-14T22:13:20Z", **more}


SAMPLE: dict[str, Any] = {
    "id": "conv_1", "name": "Winds", "description": "of them", "model": "m", "instructions": "Be brief.",
    "tools": [{"type": "function"}], "completion_args": {"temperature": 0.5}, "metadata": {"team": "a"},
    "pinned": True, "archived": False, "created_at": "2023-11-14T22:13:20Z", "updated_at": "2023-11-14T22:13:21Z",
    "head_entry_id": "a",
    "entries": [
        entry("q", None, body={"content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": PICTURE},
                                           {"type": "document_url", "document_url": NOTE, "document_name": "n"}]}),
        entry("a", "q", "message.output", status="stopped", model="m", usage=USAGE,
              body={"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
        entry("c", "q", "function.call", body={"tool_call_id": "t", "name": "n", "arguments": "{}"}),
        entry("r", "c", "function.result", body={"tool_call_id": "t", "result": "42"}),
    ],
}  # fmt: skip


def test_a_sample_is_read_whole() -> None:
    found = own.read(SAMPLE)
    assert {one.node_id: (one.parent_id, one.kind, one.role, one.status) for one in found.nodes} == {
        "q": (None, "message.input", "user", "done"),
        "a": ("q", "message.output", "assistant", "stopped"),
        "c": ("q", "function.call", None, "done"),
        "r": ("c", "function.result", None, "done"),
    }
    assert {one.node_id: one.body for one in found.nodes} == {one["id"]: one["body"] for one in SAMPLE["entries"]}
    assert (found.origin, found.name, found.description, found.model) == ("tramontane:conv_1", "Winds", "of them", "m")
    assert (found.instructions, found.pinned, found.archived, found.head_id) == ("Be brief.", True, False, "a")
    assert (found.created_ns, found.updated_ns) == (1_700_000_000 * NS, 1_700_000_001 * NS)
    assert found.settings == {name: SAMPLE[name] for name in ("tools", "completion_args", "metadata")}


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "message.system"},
        {"type": None},
        {"role": "system"},
        {"role": None},
        {"id": ""},
        {"id": 7},
        {"body": "text"},
    ],
)
def test_an_entry_of_no_known_kind_is_left_out(wrong: dict[str, Any]) -> None:
    found = own.read({"entries": [entry("q", None), entry("x", "q", **wrong)]})
    assert [one.node_id for one in found.nodes] == ["q"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": "https://example.org/x.png"},
        {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}},
        {"type": "document_url", "document_url": "https://example.org/x", "document_name": "n"},
        {"type": "reference", "url": "https://example.org"},
        {"type": ["text"], "text": "x"},
        "text",
    ],
)
def test_nothing_that_would_be_fetched_or_is_not_known_comes_along(part: Any) -> None:
    found = own.read({"entries": [entry("q", None, body={"content": [part, {"type": "text", "text": "x"}]})]})
    assert found.nodes[0].body == {"content": [{"type": "text", "text": "x"}]}


@pytest.mark.parametrize("url", ["data:text/plain;base64,AAA", "data:application/pdf;base64,JVBERi0=", "data:,%ff"])
def test_a_file_that_no_turn_could_read_leaves_its_name(url: str) -> None:
    part = {"type": "document_url", "document_url": url, "document_name": "n.pdf"}
    found = own.read({"entries": [entry("q", None, body={"content": [part]})]})
    assert found.nodes[0].body == {"content": [{"type": "text", "text": f"[file: n.pdf]\n{UNREADABLE}"}]}


@pytest.mark.parametrize(
    ("status", "read"), [("failed", "failed"), ("running", "done"), ("odd", "done"), (None, "done")]
)
def test_no_answer_is_taken_for_one_being_written(status: Any, read: str) -> None:
    found = own.read({"entries": [entry("q", None), entry("a", "q", "message.output", status=status)]})
    assert found.nodes[1].status == read


@pytest.mark.parametrize("one", [None, [], "x", {}, {"entries": {}}])
def test_without_entries_it_is_unreadable(one: Any) -> None:
    with pytest.raises(Unreadable):
        own.read(one)


def test_it_is_known_by_its_format() -> None:
    assert own.recognises({"format": FORMAT, "conversations": []})
    for other in ({"format": FORMAT}, {"conversations": []}, {"format": "other", "conversations": []}, [], None):
        assert not own.recognises(other)


@given(spoiled(SAMPLE))
def test_whatever_stands_in_a_file_is_read_or_refused(one: Any) -> None:
    try:
        found = own.read(one)
    except Unreadable:
        return
    check(found)


@given(ANY_JSON)
def test_anything_may_be_asked_whether_it_is_one(data: Any) -> None:
    assert own.recognises(data) in (True, False)
