"""Which block holds the keys and values of which run of tokens, within one namespace.

A block's name is a digest over its namespace, all tokens before it and its own, so two equal names mean equal content
and no name can be reached from another namespace. Knows nothing of references or memory. Called by `cache`.
"""

from array import array
from collections.abc import Sequence
from hashlib import blake2b

_DIGEST_BYTES = 32


def root_name(namespace: bytes) -> bytes:
    """Where the chain of names of a namespace begins."""
    return blake2b(namespace, digest_size=_DIGEST_BYTES, person=b"kv-root").digest()


def child_name(parent: bytes, tokens: Sequence[int]) -> bytes:
    """The name of the block holding `tokens` behind the block (or root) named `parent`."""
    return blake2b(parent + array("q", tokens).tobytes(), digest_size=_DIGEST_BYTES, person=b"kv-block").digest()


def extend_names(names: list[bytes], root: bytes, tokens: Sequence[int], block_tokens: int) -> None:
    """Append the names of every full block of `tokens` that `names` does not have yet."""
    for index in range(len(names), len(tokens) // block_tokens):
        parent = names[index - 1] if index else root
        names.append(child_name(parent, tokens[index * block_tokens : (index + 1) * block_tokens]))


class PrefixIndex:
    """Names of computed blocks and where they lie. A block has at most one name, a name at most one block."""

    def __init__(self) -> None:
        self._block_of: dict[bytes, int] = {}
        self._name_of: dict[int, bytes] = {}

    def find(self, name: bytes) -> int | None:
        return self._block_of.get(name)

    def walk(self, names: Sequence[bytes], start: int, stop: int) -> int:
        """The first index in [start, stop) whose name is unknown, or `stop`."""
        block_of = self._block_of
        while start < stop and names[start] in block_of:
            start += 1
        return start

    def insert(self, name: bytes, block: int) -> None:
        """Name a fully computed block. Raises ValueError when the name or the block is taken."""
        if name in self._block_of or block in self._name_of:
            raise ValueError(f"block {block} or its content already has an entry")
        self._block_of[name] = block
        self._name_of[block] = name

    def knows(self, block: int) -> bool:
        return block in self._name_of

    def forget(self, block: int) -> None:
        """The block's content is gone."""
        del self._block_of[self._name_of.pop(block)]

    def entries(self) -> dict[int, bytes]:
        """Every named block; for checks, not for the token path."""
        return dict(self._name_of)
