"""Files of strangers: valid samples with any value in them replaced, and what must hold of whatever a reader makes of one."""

import copy
from typing import Any

import msgspec
from hypothesis import strategies as st

from tramontane.features.assistant.imports.nouns import LATEST_NS, Imported
from tramontane.features.assistant.imports.own import KINDS, STATUSES

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spoiled(draw: st.DrawFn, sample: Any, most: int = 3) -> Any:
    """The sample with up to so many of its values replaced by anything, lists and objects among them."""
    found = copy.deepcopy(sample)
    for _ in range(draw(st.integers(1, most))):
        at: Any = found
        while True:
            places = list(range(len(at))) if isinstance(at, list) else list(at)
            if not places:
                break
            place = draw(st.sampled_from(places))
            inner = at[place]
            if isinstance(inner, list | dict) and inner and draw(st.integers(0, 3)):
                at = inner
                continue
            at[place] = draw(ANY_JSON)
            break
    return found


def check(found: Imported) -> None:
    """It can be written and shown as it stands."""
    known: set[str] = set()
    for node in found.nodes:
        assert node.parent_id is None or node.parent_id in known
        assert node.node_id not in known
        known.add(node.node_id)
        assert node.kind in KINDS
        assert node.status in STATUSES
        assert 0 <= node.created_ns <= LATEST_NS
        assert (node.role in ("user", "assistant")) == node.kind.startswith("message.")
        check_body(node.kind, node.body)
    assert found.head_id in known or (found.head_id is None and not known)
    assert 0 <= found.created_ns <= LATEST_NS and 0 <= found.updated_ns <= LATEST_NS
    assert isinstance(found.pinned, bool) and isinstance(found.archived, bool)
    for text in (found.origin, found.name or "", found.model, found.instructions or "", found.description or ""):
        assert "\x00" not in text
        text.encode()


def check_body(kind: str, body: dict[str, Any]) -> None:
    assert b"\\u0000" not in msgspec.json.encode(body)
    if kind.startswith("function."):
        assert all(isinstance(value, str) for value in body.values())
        return
    content = body["content"]
    if isinstance(content, str):
        return
    for part in content:
        assert part["type"] in ("text", "thinking", "image_url", "document_url")
        if part["type"] != "thinking":
            assert isinstance(part["text" if part["type"] == "text" else part["type"]], str)
        if part["type"].endswith("_url"):
            assert part[part["type"]].startswith("data:")
