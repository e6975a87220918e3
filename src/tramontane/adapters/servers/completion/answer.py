"""One choice's tokens turned into events: text, thoughts, tool calls, log-probabilities, the end.

Knows the order of the stages (half characters, thoughts, calls, stop strings); each stage has its own module. Knows
neither sampling nor sockets. The engine process keeps one reader per choice and feeds it every step.
"""

from collections.abc import Callable, Sequence
from typing import cast

from tramontane.adapters.servers.completion.conversation import wants_tools
from tramontane.adapters.servers.completion.profile import ModelProfile
from tramontane.adapters.servers.completion.prompt import Rendered
from tramontane.adapters.servers.completion.thinking import ThinkingSplitter, Thought
from tramontane.adapters.servers.completion.tokenizer import IncrementalDecoder, TextTokenizer
from tramontane.adapters.servers.completion.tools import MARKS_SEEN, Call, tool_parser
from tramontane.adapters.servers.marks import MarkFinder
from tramontane.adapters.servers.tokens import TokenLogprobs
from tramontane.foundation.events import (
    Candidate,
    ChoiceEnd,
    Event,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    TokenChoice,
    ToolCallDelta,
)
from tramontane.foundation.ids import random_word
from tramontane.foundation.nouns import Ask


def new_call_id() -> str:
    """Nine letters and digits, the form every Mistral client accepts."""
    return random_word(9)


class AnswerReader:
    """Reads one choice. Once `stopped` is True the caller ends the sequence and calls `finish("stop")`.

    `reasoning_tokens` counts the tokens of thoughts so far.
    """

    def __init__(
        self,
        ask: Ask,
        profile: ModelProfile,
        rendered: Rendered,
        index: int,
        call_id: Callable[[], str] = new_call_id,
    ) -> None:
        chat = ask.kind == "chat"
        tools = chat and wants_tools(ask)
        thinks = profile.thinking if chat else None
        self.stopped = False
        self.reasoning_tokens = 0
        self._index = index
        self._call_id = call_id
        self._calls = 0
        self._only_calls = tools and ask.tool_choice.mode in ("any", "named")
        self._called: set[tuple[str, str]] = set()
        self._tokenizer = profile.tokenizer
        self._pending = 0
        self._choices: list[TokenChoice] | None = None if ask.logprobs is None else []
        self._prefix = rendered.answer_prefix
        self._thoughts = ThinkingSplitter(thinks, rendered.thinking) if thinks else None
        self._tools = tool_parser(profile.tool_format, {tool.name for tool in ask.tools}) if tools else None
        self._stops = MarkFinder(rendered.stop) if rendered.stop else None
        self._plain = not (self._thoughts or self._tools or self._stops)
        keeps_space = not profile.tokenizer.strips_first_space or not chat or bool(rendered.answer_prefix)
        seen = (*(MARKS_SEEN if tools else ()), *((thinks.begin, thinks.end) if thinks else ()))
        special = profile.tokenizer.special_ids
        visible = frozenset(special[name] for name in seen if name in special)
        self._decoder = IncrementalDecoder(profile.tokenizer, visible, keeps_space)

    def push(self, tokens: Sequence[int], logprobs: Sequence[TokenLogprobs] | None = None) -> list[Event]:
        """Events that became certain with these tokens (stop tokens not among them)."""
        if self.stopped:
            return []
        self._pending += len(tokens)
        if self._choices is not None and logprobs is not None:
            pairs = zip(tokens, logprobs, strict=True)
            self._choices += [_choice(self._tokenizer, token, found) for token, found in pairs]
        text = self._decoder.push(tokens)
        if self._plain:
            return [self._delta(text)] if text else []
        return self._read(text, len(tokens))

    def finish(self, reason: str) -> list[Event]:
        """What was held back, then ChoiceEnd; `reason` is the loop's: stop, length or error."""
        events: list[Event] = []
        if not self.stopped:
            rest = self._decoder.flush()
            events += self._read(rest, 0) if not self._plain else ([self._delta(rest)] if rest else [])
            self._flush(events)
        if self._prefix or self._choices:
            events.append(self._delta(""))
        ended = "tool_calls" if self._calls and reason == "stop" else reason
        events.append(ChoiceEnd(self._index, cast(FinishReason, ended)))
        return events

    def _read(self, text: str, tokens: int) -> list[Event]:
        events: list[Event] = []
        if self._thoughts is None:
            self._answer(events, text)
            return events
        thought_before = self._thoughts.thinking
        self._take(events, self._thoughts.push(text))
        self.reasoning_tokens += tokens if thought_before or self._thoughts.thinking else 0
        return events

    def _flush(self, events: list[Event]) -> None:
        if self._thoughts is not None:
            self._take(events, self._thoughts.flush())
        if self._tools is not None:
            self._take_calls(events, self._tools.flush())
        if self._stops is not None and not self.stopped:
            rest = self._stops.flush()
            if rest:
                events.append(self._delta(rest))

    def _take(self, events: list[Event], pieces: list[str | Thought]) -> None:
        for piece in pieces:
            if isinstance(piece, str):
                self._answer(events, piece)
            else:
                tokens, self._pending = self._pending, 0
                if self._choices:
                    self._choices = []
                events.append(ThinkingDelta(self._index, piece.text, tokens, piece.closed))

    def _answer(self, events: list[Event], text: str) -> None:
        if self._tools is None:
            self._text(events, text)
        else:
            self._take_calls(events, self._tools.push(text))

    def _take_calls(self, events: list[Event], pieces: list[str | Call]) -> None:
        for piece in pieces:
            if isinstance(piece, str):
                self._beside_calls(events, piece)
            elif not self.stopped:
                self._call(events, piece)

    def _call(self, events: list[Event], call: Call) -> None:
        """A forced answer that says the same call again has ended: small models would repeat it to the last token."""
        if self._only_calls and (call.name, call.arguments) in self._called:
            self.stopped = True
            return
        self._called.add((call.name, call.arguments))
        events.append(ToolCallDelta(self._index, self._calls, self._call_id(), call.name, call.arguments))
        self._calls += 1

    def _beside_calls(self, events: list[Event], text: str) -> None:
        """Where only calls are allowed, white space between them and a call cut off by the limit are no answer."""
        if not (self._only_calls and (self._calls or not text.strip())):
            self._text(events, text)

    def _text(self, events: list[Event], text: str) -> None:
        if self.stopped:
            return
        if self._stops is not None:
            text, mark, _ = self._stops.push(text)
            self.stopped = mark is not None
        if text:
            events.append(self._delta(text))

    def _delta(self, text: str) -> TextDelta:
        if self._prefix:
            text, self._prefix = self._prefix + text, ""
        tokens, self._pending = self._pending, 0
        if self._choices:
            choices, self._choices = tuple(self._choices), []
            return TextDelta(self._index, text, tokens, choices)
        return TextDelta(self._index, text, tokens)


def _choice(tokenizer: TextTokenizer, token: int, found: TokenLogprobs) -> TokenChoice:
    top = tuple(_candidate(tokenizer, other, logprob) for other, logprob in found.top)
    return TokenChoice(_candidate(tokenizer, token, found.taken), top)


def _candidate(tokenizer: TextTokenizer, token: int, logprob: float) -> Candidate:
    raw = tokenizer.token_bytes(token)
    return Candidate(raw.decode("utf-8", "replace"), raw, logprob, token)
