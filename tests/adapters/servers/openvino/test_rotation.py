"""Shares take turns, whatever came first and however much of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.openvino.rotation import Rotation

ADDS = st.lists(st.sampled_from("abcd"), max_size=40)


def filled(shares: list[str]) -> Rotation[tuple[str, int]]:
    rotation: Rotation[tuple[str, int]] = Rotation()
    for number, share in enumerate(shares):
        rotation.add(share, (share, number))
    return rotation


@given(ADDS)
def test_everything_comes_out_once_and_each_share_in_its_own_order(shares: list[str]) -> None:
    rotation = filled(shares)
    out = [rotation.next() for _ in shares]
    assert sorted(out) == sorted((share, number) for number, share in enumerate(shares))
    for share in set(shares):
        mine = [number for name, number in out if name == share]
        assert mine == sorted(mine)


@given(ADDS, st.integers(0, 40))
def test_a_newcomer_waits_for_one_item_of_each_other_share_at_most(shares: list[str], taken: int) -> None:
    rotation = filled(shares)
    for _ in range(min(taken, len(shares))):
        rotation.next()
    left = max(0, len(shares) - taken)
    rotation.add("new", ("new", -1))
    before = [rotation.next() for _ in range(left + 1)].index(("new", -1))
    assert before <= len(set(shares))


def test_nothing_waits_in_an_empty_one() -> None:
    with pytest.raises(LookupError):
        Rotation[int]().next()
