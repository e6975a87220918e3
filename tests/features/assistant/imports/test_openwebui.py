"""Open WebUI's exports: a tree by parents, thoughts taken out of the text, only pictures that came along."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from tests.features.assistant.imports.spoiling import ANY_JSON, check, spoiled

from tramontane.features.assistant.imports import openwebui
from tramontane.features.assistant.imports.nouns import NS, Unreadable

PICTURE = "data:image/png;base64,iVBORw0KGgo="
THOUGHT = '<details type="reasoning" done="true">\n<summary>Thought for a second</summary>\n> hm\n</details>\n'


def message(parent_id: str | None, role: str = "user", content: Any = "said", **more: Any) -> dict[str, Any]:
    return {"parentId": parent_id, "role": role, "content": content, "timestamp": 1_700_000_000, **more}


def export(messages: dict[str, Any], **chat: Any) -> dict[str, Any]:
    history = {"messages": messages, "currentId": next(reversed(messages), None)}
    return {"id": "c", "title": "Winds", "chat": {"history": history, "models": ["llama3"], **chat}}


SAMPLE = {
    **export(
        {
            "q": message(None, files=[{"type": "image", "url": PICTURE}, {"type": "file", "name": "notes.txt"}]),
            "a": message("q", "assistant", THOUGHT + "Bora", model="llama3", done=True),
            "b": message("q", "assistant", "Foe", done=False),
        },
        params={"system": "Be brief."},
    ),
    "created_at": 1_700_000_000, "updated_at": 1_700_000_001, "pinned": True, "archived": True,
}  # fmt: skip


def test_a_sample_is_read_whole() -> None:
    found = openwebui.read(SAMPLE)
    assert [(one.node_id, one.parent_id, one.kind, one.status, one.model) for one in found.nodes] == [
        ("q", None, "message.input", "done", None),
        ("a", "q", "message.output", "done", "llama3"),
        ("b", "q", "message.output", "interrupted", None),
    ]
    question, thought, cut = (one.body["content"] for one in found.nodes)
    assert question == [
        {"type": "text", "text": "said"},
        {"type": "image_url", "image_url": PICTURE},
        {"type": "text", "text": "[notes.txt]"},
    ]
    assert thought == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "> hm"}]},
        {"type": "text", "text": "Bora"},
    ]
    assert cut == "Foe"
    assert (found.origin, found.name, found.head_id) == ("openwebui:c", "Winds", "b")
    assert (found.model, found.instructions) == ("llama3", "Be brief.")
    assert (found.pinned, found.archived) == (True, True)
    assert (found.created_ns, found.updated_ns) == (1_700_000_000 * NS, 1_700_000_001 * NS)


def test_a_chat_stands_alone_as_well_as_in_its_record() -> None:
    chat = {"id": "inner", "title": "Inner", "timestamp": 1_700_000_000_123, **export({"q": message(None)})["chat"]}
    found = openwebui.read(chat)
    assert (found.origin, found.name, len(found.nodes)) == ("openwebui:inner", "Inner", 1)
    assert abs(found.created_ns - (1_700_000_000 * NS + 123_000_000)) < 1000
    assert found.updated_ns == found.created_ns


def test_only_pictures_that_came_along_are_kept() -> None:
    """An address would be fetched by whoever looks at it."""
    urls = [
        "https://example.org/x.png",
        "data:text/html,x",
        "javascript:alert(1)",
        "data:image/svg+xml,<svg/>",
        7,
        None,
    ]
    files = [{"type": "image", "url": url} for url in urls]
    found = openwebui.read(export({"q": message(None, files=files)}))
    assert found.nodes[0].body == {"content": "said"}


@pytest.mark.parametrize(
    "passed", [message("q", "system"), message("q", "assistant", ""), message("q", content=7), message("q", None), {}]
)
def test_what_says_nothing_is_passed_over_and_what_follows_it_kept(passed: dict[str, Any]) -> None:
    found = openwebui.read(
        export({"q": message(None), "passed": {"parentId": "q", **passed}, "after": message("passed")})
    )
    assert [(one.node_id, one.parent_id) for one in found.nodes] == [("q", None), ("after", "q")]


@pytest.mark.parametrize("one", [None, [], {}, {"chat": None}, {"chat": {"history": {"messages": []}}}])
def test_without_a_history_it_is_unreadable(one: Any) -> None:
    with pytest.raises(Unreadable):
        openwebui.read(one)
    assert not openwebui.recognises([one])


def test_it_is_known_by_its_history() -> None:
    assert openwebui.recognises([{}, SAMPLE])
    assert not openwebui.recognises(SAMPLE)


@given(spoiled(SAMPLE))
def test_whatever_stands_in_a_file_is_read_or_refused(one: Any) -> None:
    with contextlib.suppress(Unreadable):
        check(openwebui.read(one))


@given(ANY_JSON)
def test_anything_may_be_asked_whether_it_is_one(data: Any) -> None:
    assert openwebui.recognises(data) in (True, False)
