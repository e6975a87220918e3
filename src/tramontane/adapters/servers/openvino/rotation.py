"""A line in which the shares take turns: one item of each in a round, a share's own items in the order they came.

Pure and not thread-safe; who uses it from several threads holds a lock.
"""

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Rotation(Generic[Item]):
    """What waits, by share. A share that comes back from having nothing waits for one item of each other share at most."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Item]] = {}

    def add(self, share: str, item: Item) -> None:
        self._lines.setdefault(share, deque()).append(item)

    def next(self) -> Item:
        """The item whose turn it is. Raises LookupError when nothing waits."""
        share = next(iter(self._lines), None)
        if share is None:
            raise LookupError("nothing waits")
        line = self._lines.pop(share)
        item = line.popleft()
        if line:
            self._lines[share] = line
        return item
