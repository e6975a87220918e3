"""The checks before parsing, against a slow and obvious reader of brackets."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.entrypoints.api.limits import MOST_CONTAINERS, check_json, counted, declared_length, json_depth
from tramontane.foundation.errors import BadRequest, InvalidFields, TooLarge

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\[]{}é\n', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='"\\{[', max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


def plain_depth(text: str) -> tuple[int, int]:
    """Character by character."""
    depth = deepest = opened = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            depth, opened = depth + 1, opened + 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest, opened


@given(JSON, st.booleans())
def test_depth_is_counted_outside_strings_only(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert json_depth(text.encode()) == plain_depth(text)


@given(st.text(alphabet='"\\[]{}a,:', max_size=60))
def test_no_text_makes_the_count_differ(text: str) -> None:
    assert json_depth(text.encode()) == plain_depth(text)


@given(st.integers(1, 200), st.integers(1, 100))
def test_the_limit_is_exact(depth: int, limit: int) -> None:
    body = b"[" * depth + b"]" * depth
    if depth <= limit:
        check_json(body, limit)
    else:
        with pytest.raises(BadRequest, match=f"{depth} levels"):
            check_json(body, limit)


@pytest.mark.parametrize(
    "body",
    [
        b'"' + b'\\"' * 2_000_000,
        b'"' * 4_000_000,
        b"[" * 4_000_000,
        b"[{" * 2_000_000,
        b'"\\' * 2_000_000,
        b'{"a":"' + b"\\" * 4_000_000,
    ],
)
def test_hostile_bodies_cost_time_in_proportion(body: bytes) -> None:
    """A quadratic reader would need hours; half the body must not cost much less than half."""
    begun = time.process_time()
    json_depth(body[: len(body) // 4])
    quarter = time.process_time() - begun
    begun = time.process_time()
    json_depth(body)
    assert time.process_time() - begun < 12 * quarter + 0.25


def test_too_many_containers_are_counted_and_not_walked() -> None:
    assert json_depth(b"[" * (MOST_CONTAINERS + 1)) == (0, MOST_CONTAINERS + 1)


def test_an_empty_body_and_foreign_bytes_are_named() -> None:
    with pytest.raises(InvalidFields, match="empty"):
        check_json(b"", 64)
    with pytest.raises(BadRequest, match="byte 3"):
        check_json(b'{"a\xff', 64)


@given(st.lists(st.binary(max_size=20), max_size=10), st.integers(25, 100))
async def test_bodies_are_counted_while_they_come(parts: list[bytes], limit: int) -> None:
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    source = iter(messages)

    async def receive() -> dict[str, object]:
        return next(source)

    limited = counted(receive, limit)  # type: ignore[arg-type]
    total = 0
    for part in [*parts, b""]:
        total += len(part)
        if total > limit:
            with pytest.raises(TooLarge):
                await limited()
            assert next(source, None) is None, "the rest is read and dropped"
            return
        assert (await limited())["body"] == part


@pytest.mark.parametrize("value", [b"-1", b"ten", b"", b"1e3"])
def test_a_length_that_is_no_number_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest):
        declared_length([(b"content-length", value)])
    assert declared_length([]) == 0
