"""Finding marks in text that arrives in pieces: stop strings, tags of tool calls, tags of thoughts.

Knows strings only. What it reports does not depend on where the text was cut into pieces.
"""

from collections.abc import Sequence


class MarkFinder:
    """Passes text on until a mark completes; text that may begin a mark is held back until that is decided."""

    def __init__(self, marks: Sequence[str]) -> None:
        """`marks` are non-empty."""
        self._marks = tuple(marks)
        self._longest = max(map(len, self._marks), default=1)
        self._held = ""

    def push(self, text: str) -> tuple[str, str | None, str]:
        """Text before the mark that completes first, that mark, and the text after it; or certain text, None and ""."""
        held = self._held + text
        found = self._first(held)
        if found is not None:
            begin, mark = found
            self._held = ""
            return held[:begin], mark, held[begin + len(mark) :]
        keep = self._begun(held)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep], None, ""

    def flush(self) -> str:
        """What was held back, at the end of the text."""
        held, self._held = self._held, ""
        return held

    def _first(self, text: str) -> tuple[int, str] | None:
        """Begin and mark of the one that ends first; of several that end together the longest."""
        best: tuple[int, int, str] | None = None
        for mark in self._marks:
            begin = text.find(mark)
            if begin >= 0 and (best is None or (begin + len(mark), begin) < best[:2]):
                best = (begin + len(mark), begin, mark)
        return None if best is None else (best[1], best[2])

    def _begun(self, text: str) -> int:
        """Length of the longest end of `text` that is the beginning of a mark."""
        for size in range(min(len(text), self._longest - 1), 0, -1):
            tail = text[len(text) - size :]
            if any(mark.startswith(tail) for mark in self._marks):
                return size
        return 0
