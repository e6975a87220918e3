"""A llama.cpp server stays within its memory, and uses it for context before it uses it for more requests at once."""

from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.llamacpp.context import COMFORTABLE_TOKENS, divided


@given(st.integers(1, 10**6), st.integers(1, 10**7), st.integers(1, 8))
def test_memory_is_never_exceeded_and_never_left_while_it_could_serve(own: int, cache: int, most: int) -> None:
    slots, context = divided(own, cache, most)
    assert 1 <= slots <= most and 1 <= context <= own
    assert slots * context <= cache
    assert slots == 1 or context >= min(own, COMFORTABLE_TOKENS)
    # Neither longer requests nor one more of the same length would have fitted.
    assert context == own or (context + 1) * slots > cache
    assert slots == most or min(own, COMFORTABLE_TOKENS) * (slots + 1) > cache


def test_a_model_that_says_nothing_gets_a_comfortable_context() -> None:
    assert divided(0, 0, 4) == (4, COMFORTABLE_TOKENS)
    assert divided(2048, 0, 4) == (4, 2048)
    assert divided(131072, 0, 4) == (4, COMFORTABLE_TOKENS)
    assert divided(0, 10_000, 4) == (1, COMFORTABLE_TOKENS)
