"""Blocks are never lost, never in two places, and given away leaves first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.openvino.blocks import BlockPool, NoFreeBlock

ACTIONS = st.lists(st.tuples(st.sampled_from(["allocate", "retain", "keep", "drop", "discard"]), st.integers(0, 50)))


@given(ACTIONS, st.integers(1, 8))
def test_every_block_is_free_kept_or_owned_with_exact_references(actions: list[tuple[str, int]], count: int) -> None:
    evicted: list[int] = []
    pool = BlockPool(count, evicted.append)
    owned: dict[int, int] = {}
    kept: list[int] = []
    for action, number in actions:
        if action == "allocate":
            if len(owned) == count:
                with pytest.raises(NoFreeBlock):
                    pool.allocate()
                continue
            used_up = len(owned) + len(kept) == count
            block = pool.allocate()
            assert block not in owned
            if used_up:
                # Nothing was free: the block let go of longest ago had to be given away.
                assert block == kept.pop(0) == evicted[-1]
            owned[block] = 1
        elif action == "retain" and (owned or kept):
            block = [*owned, *kept][number % (len(owned) + len(kept))]
            pool.retain(block)
            owned[block] = owned.get(block, 0) + 1
            if block in kept:
                kept.remove(block)
        elif action in ("keep", "drop") and owned:
            block = list(owned)[number % len(owned)]
            pool.release(block, keep=action == "keep")
            owned[block] -= 1
            if not owned[block]:
                del owned[block]
                kept += [block] if action == "keep" else []
        elif action == "discard" and kept:
            block = kept.pop(number % len(kept))
            pool.discard(block)
        free_now, kept_now, owned_now = pool.census()
        assert owned_now == owned
        assert kept_now == set(kept)
        assert free_now == set(range(count)) - set(owned) - set(kept)
        assert pool.available == count - len(owned)


def test_a_block_without_reference_cannot_be_released() -> None:
    pool = BlockPool(1, lambda block: None)
    with pytest.raises(ValueError, match="no reference"):
        pool.release(0, keep=False)
