"""Salts differ wherever workspace, model or secret do, and are the same where all agree."""

from hypothesis import given
from hypothesis import strategies as st

from tramontane.engine.namespaces import Namespaces

NAMES = st.text("ab1:", min_size=1, max_size=4)
PAIRS = st.tuples(NAMES, NAMES)


@given(PAIRS, PAIRS, st.sampled_from([b"s" * 32, b"t" * 32]), st.sampled_from([b"s" * 32, b"t" * 32]))
def test_two_salts_agree_only_when_everything_does(
    one: tuple[str, str], other: tuple[str, str], secret: bytes, second: bytes
) -> None:
    first, again = Namespaces(secret).of(*one), Namespaces(second).of(*other)
    assert (first == again) == ((one, secret) == (other, second))
    assert len(first) == 32


def test_a_salt_stays_the_same_however_many_others_were_asked_for() -> None:
    salts = Namespaces(b"s" * 32)
    before = salts.of("workspace", "model")
    for number in range(5000):
        salts.of(f"w{number}", "model")
    assert salts.of("workspace", "model") == before
