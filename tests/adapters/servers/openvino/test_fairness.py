"""Service follows weight while work waits, and idling saves nothing up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.openvino.fairness import FairOrder


@given(
    st.lists(st.integers(1, 8), min_size=2, max_size=5),
    st.lists(st.integers(1, 128), min_size=1, max_size=200),
)
def test_backlogged_shares_stay_within_one_piece_of_each_other(weights: list[int], pieces: list[int]) -> None:
    order = FairOrder()
    shares = [f"share-{index}" for index in range(len(weights))]
    for share, weight in zip(shares, weights, strict=True):
        order.join(share, weight)
    for piece in pieces:
        order.charge(order.least_served(shares), piece)
        counters = [order.virtual_tokens(share) for share in shares]
        assert max(counters) - min(counters) <= 128 + 1e-3


@given(
    st.lists(
        st.tuples(st.sampled_from(["join", "leave", "charge"]), st.sampled_from("abcd"), st.integers(1, 500)),
        max_size=80,
    )
)
def test_a_share_never_returns_below_the_least_served_active_one(actions: list[tuple[str, str, int]]) -> None:
    order = FairOrder()
    active: dict[str, int] = {}
    last: dict[str, float] = {}
    for action, share, cost in actions:
        if action == "join":
            others = [order.virtual_tokens(name) for name in active if name != share]
            known = last.get(share, 0.0)
            order.join(share, 1)
            if share not in active:
                assert order.virtual_tokens(share) >= min(others, default=0.0)
                # Nor does leaving and coming back wipe out what it had been served.
                assert order.virtual_tokens(share) >= known
            active[share] = active.get(share, 0) + 1
        elif action == "leave" and share in active:
            last[share] = order.virtual_tokens(share)
            order.leave(share)
            active[share] -= 1
            if not active[share]:
                del active[share]
        elif action == "charge" and share in active:
            before = order.virtual_tokens(share)
            order.charge(share, cost)
            assert order.virtual_tokens(share) == pytest.approx(before + cost)
    assert len(order._served) <= 4


def test_idle_shares_that_fell_behind_are_forgotten() -> None:
    order = FairOrder()
    order.join("busy", 1)
    for index in range(1000):
        order.join(f"guest-{index}", 1)
        order.charge(f"guest-{index}", 1)
        order.charge("busy", 5)
        order.leave(f"guest-{index}")
    assert len(order._served) < 10


def test_newcomers_at_the_same_level_do_not_overtake() -> None:
    order = FairOrder()
    order.join("patient", 1)
    for index in range(50):
        order.join(f"new-{index}", 1)
        shares = ["patient", *(f"new-{other}" for other in range(index + 1))]
        assert order.least_served(reversed(shares)) == "patient"


def test_a_weight_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        FairOrder().join("nobody", 0)
