"""Thoughts that a server leaves in the text of its answers: taken out of the beginning, where models put them.

Knows the marks of the families that think and one choice's text as it arrives; knows no chunks. `reading` calls it.
Servers that tell thoughts apart by themselves are read without it.
"""

from typing import Literal

from tramontane.adapters.servers.marks import MarkFinder
from tramontane.foundation.events import Event, TextDelta, ThinkingDelta, TokenChoice

MARKS = {"<think>": "</think>", "[THINK]": "[/THINK]"}
# An answer of white space alone is an answer too, and is not held back for ever.
MOST_SPACE = 64


class LeadingThoughts:
    """Text in, thinking and text out, the same however the text was cut. Once `over`, all that follows is answer."""

    def __init__(self, index: int) -> None:
        self.reasoning_tokens = 0
        self._index = index
        self._stage: Literal["open", "thoughts", "answer"] = "open"
        self._held = ""  # until it is certain whether the answer begins with thoughts
        self._finder: MarkFinder | None = None  # of their end, while they last
        self._at_start = False  # line breaks after either mark belong to neither side
        self._tokens = 0
        self._choices: list[TokenChoice] = []

    @property
    def over(self) -> bool:
        return self._stage == "answer" and not self._at_start

    def push(self, text: str, tokens: int, logprobs: tuple[TokenChoice, ...] | None) -> list[Event]:
        """Events that became certain with this text."""
        self._tokens += tokens
        self._choices += logprobs or ()
        events: list[Event] = []
        if self._stage == "open":
            text = self._look(text)
        if self._stage == "thoughts":
            text = self._think(events, text)
        if self._stage == "answer":
            self._answer(events, text)
        return events

    def settle(self) -> list[Event]:
        """What was held back; whatever comes now is answer. Thoughts without an end stay thoughts."""
        events: list[Event] = []
        if self._finder is not None:
            self._thought(events, self._finder.flush(), closed=False)
        self._stage = "answer"
        self._answer(events, self._held)
        self._held, self._at_start = "", False
        return events

    def _look(self, text: str) -> str:
        """Whether the answer begins with thoughts, as soon as that is certain; what is to be read on then."""
        self._held += text
        word = self._held.lstrip()
        found = next((begin for begin in MARKS if word.startswith(begin)), None)
        too_late = len(self._held) - len(word) > MOST_SPACE
        if found is not None and not too_late:
            self._stage, self._finder, self._at_start = "thoughts", MarkFinder((MARKS[found],)), True
            self._held = ""
            return word[len(found) :]
        if too_late or not any(begin.startswith(word) for begin in MARKS):
            self._stage = "answer"
            text, self._held = self._held, ""
            return text
        return ""

    def _think(self, events: list[Event], text: str) -> str:
        """What follows the thoughts, once they are over."""
        assert self._finder is not None
        thought, mark, rest = self._finder.push(text)
        self._thought(events, thought, closed=mark is not None)
        if mark is not None:
            self._stage, self._finder, self._at_start = "answer", None, True
        return rest

    def _thought(self, events: list[Event], text: str, closed: bool) -> None:
        text = self._trimmed(text)
        if not text and not closed:
            return
        events.append(ThinkingDelta(self._index, text, self._tokens, closed))
        self.reasoning_tokens += self._tokens
        self._tokens, self._choices = 0, []

    def _answer(self, events: list[Event], text: str) -> None:
        text = self._trimmed(text)
        if not text and not self._choices:
            return
        events.append(TextDelta(self._index, text, self._tokens, tuple(self._choices) or None))
        self._tokens, self._choices = 0, []

    def _trimmed(self, text: str) -> str:
        if self._at_start:
            text = text.lstrip("\n")
            self._at_start = not text
        return text
