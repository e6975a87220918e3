"""Names of blocks agree exactly where namespace and all tokens so far agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.openvino.prefix import PrefixIndex, extend_names, root_name

TOKENS = st.lists(st.integers(0, 3), max_size=12)


def names_of(namespace: bytes, tokens: list[int], block_tokens: int = 2) -> list[bytes]:
    names: list[bytes] = []
    extend_names(names, root_name(namespace), tokens, block_tokens)
    return names


@given(TOKENS, TOKENS, st.sampled_from([b"a", b"b"]))
def test_names_agree_as_far_as_the_full_blocks_do(one: list[int], other: list[int], namespace: bytes) -> None:
    for index, (left, right) in enumerate(zip(names_of(namespace, one), names_of(namespace, other), strict=False)):
        assert (left == right) == (one[: 2 * index + 2] == other[: 2 * index + 2])


@given(TOKENS, TOKENS, st.binary(max_size=8), st.binary(max_size=8))
def test_two_namespaces_have_no_name_in_common(one: list[int], other: list[int], left: bytes, right: bytes) -> None:
    if left != right:
        assert not set(names_of(left, one)) & set(names_of(right, other))


@given(TOKENS, st.integers(0, 12))
def test_names_grow_as_the_text_does(tokens: list[int], cut: int) -> None:
    names: list[bytes] = []
    for end in (cut, len(tokens)):
        extend_names(names, root_name(b"a"), tokens[:end], 2)
    assert names == names_of(b"a", tokens)


def test_the_index_finds_what_it_was_given_until_told_to_forget() -> None:
    index, names = PrefixIndex(), names_of(b"a", [1, 2, 3, 4, 5, 6])
    index.insert(names[0], 7)
    index.insert(names[1], 8)
    assert index.walk(names, 0, 3) == 2
    assert index.find(names[1]) == 8
    with pytest.raises(ValueError, match="already"):
        index.insert(names[2], 8)
    index.forget(7)
    assert index.walk(names, 0, 3) == 0
    assert index.walk(names, 1, 3) == 2
