"""The key-value cache as sequences see it: blocks under their tokens, shared where namespace and tokens agree.

Joins `blocks` and `prefix`: a sequence finds computed blocks, gets fresh ones, publishes the ones it fills and lets
go of all. Nobody else touches a table. Called by `batch`.
"""

from tramontane.adapters.servers.openvino.blocks import BlockPool
from tramontane.adapters.servers.openvino.prefix import PrefixIndex, extend_names
from tramontane.adapters.servers.openvino.sequence import Sequence


class KeyValueCache:
    """`block_count` blocks of `block_tokens` tokens each."""

    def __init__(self, block_count: int, block_tokens: int) -> None:
        self.block_tokens = block_tokens
        self.index = PrefixIndex()
        self.pool = BlockPool(block_count, self.index.forget)

    def blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.block_tokens)

    def name_blocks(self, sequence: Sequence) -> None:
        """Bring the names of a sequence up to its tokens."""
        extend_names(sequence.names, sequence.root, sequence.tokens, self.block_tokens)

    def look_ahead(self, sequence: Sequence) -> int:
        """Leading blocks of a sequence that are computed somewhere; never the one with its last token.

        Remembered in `held` so that asking again costs nothing new; `attach` does not trust it.
        """
        stop = (len(sequence.tokens) - 1) // self.block_tokens
        start = min(max(sequence.held, sequence.computed // self.block_tokens), stop)
        sequence.held = self.index.walk(sequence.names, start, stop)
        return sequence.held

    def missing_blocks(self, sequence: Sequence) -> int:
        """How many available blocks `attach` would use up for this sequence, kept ones it can share included."""
        have = len(sequence.table)
        stop = (len(sequence.tokens) - 1) // self.block_tokens
        found = self.index.walk(sequence.names, have, stop) if self._aligned(sequence) else have
        owned_by_others = 0
        for name in sequence.names[have:found]:
            block = self.index.find(name)
            owned_by_others += block is not None and not self.pool.is_kept(block)
        return self.blocks_for(len(sequence.tokens)) - have - owned_by_others

    def attach(self, sequence: Sequence) -> int:
        """Give a sequence blocks for all its tokens, computed ones as far as they go. Returns tokens found computed.

        Raises NoFreeBlock when more than `missing_blocks` would be needed; the caller asks first.
        """
        before = sequence.computed
        if self._aligned(sequence):
            stop = (len(sequence.tokens) - 1) // self.block_tokens
            for name in sequence.names[len(sequence.table) : stop]:
                block = self.index.find(name)
                if block is None:
                    break
                self.pool.retain(block)
                sequence.table.append(block)
            sequence.computed = len(sequence.table) * self.block_tokens
            sequence.published = len(sequence.table)
        while len(sequence.table) < self.blocks_for(len(sequence.tokens)):
            sequence.table.append(self.pool.allocate())
        return sequence.computed - before

    def catch_up(self, sequence: Sequence) -> int:
        """Take over blocks others have published since, where the sequence's own are still empty. Returns tokens."""
        found = self.look_ahead(sequence)
        first = sequence.computed // self.block_tokens
        if sequence.computed % self.block_tokens or found <= first:
            return 0
        for position in range(first, found):
            block = self.index.find(sequence.names[position])
            if block is None:
                found = position
                break
            self._swap(sequence, position, block)
        gained = found * self.block_tokens - sequence.computed
        sequence.computed = found * self.block_tokens
        sequence.published = found
        return gained

    def grow(self, sequence: Sequence, tokens: int) -> None:
        """Blocks for the first `tokens` positions. Raises NoFreeBlock, keeping what it got."""
        while len(sequence.table) * self.block_tokens < tokens:
            sequence.table.append(self.pool.allocate())

    def publish(self, sequence: Sequence) -> None:
        """Put the full computed blocks of a sequence into the index; a twin already there takes the block's place."""
        full = sequence.computed // self.block_tokens
        if full <= sequence.published:
            return
        self.name_blocks(sequence)
        for position in range(sequence.published, full):
            name = sequence.names[position]
            twin = self.index.find(name)
            if twin is None:
                self.index.insert(name, sequence.table[position])
            elif twin != sequence.table[position]:
                self._swap(sequence, position, twin)
        sequence.published = full

    def release(self, sequence: Sequence, *, spoiled: bool = False) -> None:
        """Let go of every block, last first. `spoiled`: what only this sequence holds must not be found again."""
        for block in reversed(sequence.table):
            if spoiled and self.pool.references(block) == 1 and self.index.knows(block):
                self.index.forget(block)
            self.pool.release(block, keep=self.index.knows(block))
        del sequence.table[:]
        sequence.computed = sequence.published = sequence.held = 0

    @property
    def used_tokens(self) -> int:
        """Positions in blocks that running sequences own."""
        return self.pool.owned * self.block_tokens

    def _aligned(self, sequence: Sequence) -> bool:
        """Whether the table ends exactly where computing must go on, so computed blocks may be appended."""
        return len(sequence.table) * self.block_tokens == sequence.computed

    def _swap(self, sequence: Sequence, position: int, block: int) -> None:
        own = sequence.table[position]
        self.pool.retain(block)
        sequence.table[position] = block
        self.pool.release(own, keep=self.index.knows(own))
