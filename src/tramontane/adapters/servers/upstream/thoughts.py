"""Thoughts that a server leaves in the text of its answers: taken out of the beginning, where models put them.

Knows the marks of the families that think and one choice's text as it arrives; knows no chunks. `reading` calls it.
Servers that tell thoughts apart by themselves are read without it.
"""

from typing import Literal

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
        self._end = ""
        self._held = ""
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
        self._held += text
        events: list[Event] = []
        if self._stage == "open":
            self._look()
        if self._stage == "thoughts":
            self._think(events)
        if self._stage == "answer":
            self._answer(events)
        return events

    def settle(self) -> list[Event]:
        """What was held back; whatever comes now is answer. Thoughts without an end stay thoughts."""
        events: list[Event] = []
        if self._stage == "thoughts":
            self._thought(events, self._held, closed=False)
            self._held = ""
        self._stage = "answer"
        self._answer(events)
        self._at_start = False
        return events

    def _look(self) -> None:
        """Whether the answer begins with thoughts, as soon as that is certain."""
        word = self._held.lstrip()
        if len(self._held) - len(word) > MOST_SPACE:
            self._stage = "answer"
            return
        for begin, end in MARKS.items():
            if word.startswith(begin):
                self._stage, self._end, self._held, self._at_start = "thoughts", end, word[len(begin) :], True
                return
        if not any(begin.startswith(word) for begin in MARKS):
            self._stage = "answer"

    def _think(self, events: list[Event]) -> None:
        thought, mark, rest = self._held.partition(self._end)
        if mark:
            self._thought(events, thought, closed=True)
            self._held, self._stage, self._at_start = rest, "answer", True
            return
        keep = next(size for size in range(len(self._end) - 1, -1, -1) if thought.endswith(self._end[:size]))
        self._held = thought[len(thought) - keep :]
        self._thought(events, thought[: len(thought) - keep], closed=False)

    def _thought(self, events: list[Event], text: str, closed: bool) -> None:
        text = self._trimmed(text)
        if not text and not closed:
            return
        events.append(ThinkingDelta(self._index, text, self._tokens, closed))
        self.reasoning_tokens += self._tokens
        self._tokens, self._choices = 0, []

    def _answer(self, events: list[Event]) -> None:
        text, self._held = self._trimmed(self._held), ""
        if not text and not self._choices:
            return
        events.append(TextDelta(self._index, text, self._tokens, tuple(self._choices) or None))
        self._tokens, self._choices = 0, []

    def _trimmed(self, text: str) -> str:
        if self._at_start:
            text = text.lstrip("\n")
            self._at_start = not text
        return text
