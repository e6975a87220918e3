"""Separates a reasoning model's thoughts from its answer while the text arrives.

Knows the marks around thoughts and the line breaks models put beside them; knows no tokens. `answer` calls it.
"""

from dataclasses import dataclass

from tramontane.adapters.servers.completion.profile import ThinkingFormat
from tramontane.adapters.servers.marks import MarkFinder


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of thinking; `closed` on the one that ends it."""

    text: str
    closed: bool = False


class ThinkingSplitter:
    """Text in, answer text and thoughts out, in order."""

    def __init__(self, marks: ThinkingFormat, opened: bool) -> None:
        """`opened` says that the prompt already contains the opening mark."""
        self._format = marks
        self.thinking = opened
        self._finder = self._finder_now()
        self._at_start = True

    def push(self, text: str) -> list[str | Thought]:
        """Pieces that are certain now; strings are answer text."""
        pieces: list[str | Thought] = []
        while True:
            before, mark, text = self._finder.push(text)
            self._add(pieces, before, closed=mark is not None and self.thinking)
            if mark is None:
                return pieces
            self.thinking = not self.thinking
            self._finder = self._finder_now()
            self._at_start = True

    def flush(self) -> list[str | Thought]:
        """What was held back."""
        pieces: list[str | Thought] = []
        self._add(pieces, self._finder.flush(), closed=False)
        return pieces

    def _add(self, pieces: list[str | Thought], text: str, closed: bool) -> None:
        if self._at_start:
            text = text.lstrip("\n")  # models put line breaks after either mark that belong to neither side
            self._at_start = not text
        if self.thinking and (text or closed):
            pieces.append(Thought(text, closed))
        elif text:
            pieces.append(text)

    def _finder_now(self) -> MarkFinder:
        return MarkFinder((self._format.end if self.thinking else self._format.begin,))
