"""Which blocks of the key-value cache are free, owned or kept for their content.

Knows block ids and reference counts only; what a block holds is `prefix`'s business, which is told when a kept block
is given away. Called by `cache`.
"""

from collections import OrderedDict
from collections.abc import Callable


class NoFreeBlock(Exception):
    """Every block is owned by a running sequence: preempt one or wait for one to end."""


class BlockPool:
    """Blocks 0 to `count - 1`, each always in exactly one of three places.

    Free (content worthless), owned (one or more references) or kept (no reference, content still findable). Kept
    blocks are given away in the order in which they were let go, so a caller that lets go of a chain from its end
    to its beginning loses leaves before roots. `on_evict` hears of every kept block that is given away.
    """

    def __init__(self, count: int, on_evict: Callable[[int], None]) -> None:
        self.count = count
        self._on_evict = on_evict
        self._free = list(range(count - 1, -1, -1))
        self._kept: OrderedDict[int, None] = OrderedDict()
        self._references = [0] * count

    @property
    def available(self) -> int:
        """Blocks `allocate` can still hand out."""
        return len(self._free) + len(self._kept)

    @property
    def owned(self) -> int:
        return self.count - self.available

    def references(self, block: int) -> int:
        return self._references[block]

    def allocate(self) -> int:
        """A block with one reference and worthless content. Raises NoFreeBlock."""
        if self._free:
            block = self._free.pop()
        elif self._kept:
            block, _ = self._kept.popitem(last=False)
            self._on_evict(block)
        else:
            raise NoFreeBlock(f"all {self.count} cache blocks are in use")
        self._references[block] = 1
        return block

    def retain(self, block: int) -> None:
        """One more reference to an owned or kept block."""
        if self._references[block] == 0:
            del self._kept[block]
        self._references[block] += 1

    def release(self, block: int, *, keep: bool) -> None:
        """One reference less; with the last one the block is kept for its content or becomes free."""
        if self._references[block] < 1:
            raise ValueError(f"block {block} has no reference to release")
        self._references[block] -= 1
        if self._references[block]:
            return
        if keep:
            self._kept[block] = None
        else:
            self._free.append(block)

    def discard(self, block: int) -> None:
        """Make a kept block free; the caller has forgotten its content."""
        del self._kept[block]
        self._free.append(block)

    def is_kept(self, block: int) -> bool:
        return block in self._kept

    def census(self) -> tuple[set[int], set[int], dict[int, int]]:
        """Free blocks, kept blocks, and the references of the owned ones; for checks, not for the token path."""
        owned = {block: count for block, count in enumerate(self._references) if count}
        return set(self._free), set(self._kept), owned
