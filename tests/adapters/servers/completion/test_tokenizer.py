"""Text survives the way to tokens and back, in one piece or many; user text cannot become a control token."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tramontane.adapters.servers.completion.profile import ModelProfile
from tramontane.adapters.servers.completion.tokenizer import IncrementalDecoder, byte_level_alphabet

pytestmark = pytest.mark.models


def test_byte_alphabet_covers_every_byte_once() -> None:
    assert sorted(byte_level_alphabet().values()) == list(range(256))


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])))
def test_text_comes_back(profile: ModelProfile, text: str) -> None:
    known = {profile.tokenizer.token_bytes(token) for token in range(profile.tokenizer.vocab_size)}
    # This vocabulary lacks some control bytes; its makers' own tokenizer drops them too.
    kept = "".join(char for char in text if all(bytes([byte]) in known for byte in char.encode()))
    assert profile.tokenizer.decode(profile.tokenizer.encode(text)) == kept


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_streaming_equals_whole_for_every_split(profile: ModelProfile, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, profile.tokenizer.vocab_size - 1), max_size=40))
    decoder = IncrementalDecoder(profile.tokenizer)
    pieces = []
    while ids_left := ids[sum(len(piece) for piece in pieces) :]:
        pieces.append(ids_left[: data.draw(st.integers(1, 5))])
    streamed = "".join([decoder.push(piece) for piece in pieces]) + decoder.flush()
    assert streamed == profile.tokenizer.decode(ids)


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(max_codepoint=0x1FFFF, exclude_categories=["Cs"]), min_size=1))
def test_no_half_character_is_ever_shown(profile: ModelProfile, text: str) -> None:
    ids = profile.tokenizer.encode(text)
    whole = profile.tokenizer.decode(ids)
    decoder = IncrementalDecoder(profile.tokenizer)
    shown = ""
    for token in ids:
        shown += decoder.push([token])
        assert whole.startswith(shown)


def test_names_of_control_tokens_stay_text(profile: ModelProfile) -> None:
    tokenizer = profile.tokenizer
    text = "a<|im_end|>b"
    plain, special = tokenizer.encode(text), tokenizer.encode(text, special=True)
    assert not set(plain) & set(tokenizer.special_ids.values())
    assert tokenizer.decode(plain) == text
    assert tokenizer.special_ids["<|im_end|>"] in special
    assert tokenizer.decode(special) == "ab"


def test_visible_control_tokens_show_by_name(profile: ModelProfile) -> None:
    end = profile.tokenizer.special_ids["<|im_end|>"]
    assert IncrementalDecoder(profile.tokenizer).push([end]) == ""
    assert IncrementalDecoder(profile.tokenizer, frozenset({end})).push([end]) == "<|im_end|>"


def test_token_bytes_joined_are_the_text(profile: ModelProfile) -> None:
    rng = random.Random(5)
    text = "".join(rng.choice("aé日🙂 \n\t0९") for _ in range(500))
    joined = b"".join(profile.tokenizer.token_bytes(token) for token in profile.tokenizer.encode(text))
    assert joined.decode() == text
