"""ChatGPT's exports: a tree of what was said to somebody, whatever else stands in the file."""

import contextlib
from typing import Any

import pytest
from hypothesis import example, given
from tests.features.assistant.imports.spoiling import ANY_JSON, check, spoiled

from tramontane.features.assistant.imports import chatgpt
from tramontane.features.assistant.imports.nouns import NS, Unreadable


def node(parent: str | None, role: str = "user", said: Any = "said", **more: Any) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [said]}
    message = {"author": {"role": role}, "content": content, "create_time": 1_700_000_000, "recipient": "all", **more}
    return {"parent": parent, "message": message}


def export(mapping: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"conversation_id": "c", "title": "Winds", "mapping": mapping, **more}


SAMPLE = export(
    {
        "root": {"parent": None, "message": None},
        "q": node("root"),
        "a": node("q", "assistant", "answer", metadata={"model_slug": "gpt-4o"}),
        "b": node("q", "assistant", {"content_type": "image_asset_pointer"}),
    },
    current_node="b", create_time=1_700_000_000, update_time=1_700_000_100.5, is_starred=True, is_archived=False,
    default_model_slug="gpt-4",
)  # fmt: skip


def test_a_sample_is_read_whole() -> None:
    found = chatgpt.read(SAMPLE)
    assert [(one.node_id, one.parent_id, one.kind, one.body["content"]) for one in found.nodes] == [
        ("q", None, "message.input", "said"),
        ("a", "q", "message.output", "answer"),
        ("b", "q", "message.output", "[image]"),
    ]
    assert (found.origin, found.name, found.head_id, found.model) == ("chatgpt:c", "Winds", "b", "gpt-4")
    assert (found.pinned, found.archived) == (True, False)
    assert (found.created_ns, found.updated_ns) == (1_700_000_000 * NS, 1_700_000_100 * NS + NS // 2)
    assert [one.model for one in found.nodes] == [None, "gpt-4o", None]


@pytest.mark.parametrize(
    "passed",
    [
        node("q", "system"),
        node("q", "tool"),
        node("q", "assistant", ""),
        node("q", "assistant", recipient="python"),
        node("q", metadata={"is_visually_hidden_from_conversation": True}),
        node("q", "assistant", content={"content_type": "code", "text": "x"}),
        {"parent": "q", "message": None},
        {"parent": "q"},
    ],
)
def test_what_nobody_was_to_read_is_passed_over_and_what_follows_it_kept(passed: dict[str, Any]) -> None:
    found = chatgpt.read(export({"q": node(None), "passed": passed, "after": node("passed")}, current_node="passed"))
    assert [(one.node_id, one.parent_id) for one in found.nodes] == [("q", None), ("after", "q")]
    assert found.head_id == "q"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (["one", "", "two"], "one\ntwo"),
        ([{"content_type": "audio_transcription", "text": "spoken"}], "spoken"),
        (["see", {"content_type": "real_time_user_audio_video"}], "see\n[real_time_user_audio_video]"),
        ([{}], "[attachment]"),
        ([7, None, ["x"]], None),
        ("no list", None),
    ],
)
def test_of_what_lies_elsewhere_only_that_it_was_there(parts: Any, said: str | None) -> None:
    message = {"content_type": "multimodal_text", "parts": parts}
    found = chatgpt.read(export({"q": node(None, content=message)}))
    assert [one.body["content"] for one in found.nodes] == ([] if said is None else [said])


@pytest.mark.parametrize("one", [None, [], "x", {}, {"mapping": []}, {"mapping": None}])
def test_without_a_mapping_it_is_unreadable(one: Any) -> None:
    with pytest.raises(Unreadable):
        chatgpt.read(one)


def test_it_is_known_by_its_mapping() -> None:
    assert chatgpt.recognises([{}, SAMPLE])
    for other in ([], [{}], {}, [[SAMPLE]], SAMPLE, "mapping"):
        assert not chatgpt.recognises(other)


@given(spoiled(SAMPLE))
@example(export({"q": node(None, content={"content_type": ["text"], "parts": ["x"]})}))
def test_whatever_stands_in_a_file_is_read_or_refused(one: Any) -> None:
    with contextlib.suppress(Unreadable):
        check(chatgpt.read(one))


@given(ANY_JSON)
def test_anything_may_be_asked_whether_it_is_one(data: Any) -> None:
    assert chatgpt.recognises(data) in (True, False)
