"""The server-sent chunks of an OpenAI-compatible server as our events.

Knows the closed set of shapes a chunk may have and puts tool calls together; knows neither HTTP nor asks. Whatever does
not fit raises BrokenStream, which ends the one request it belongs to.
"""

from itertools import zip_longest
from typing import Any, get_args

import msgspec

from tramontane.adapters.servers.upstream.thoughts import LeadingThoughts
from tramontane.foundation.errors import EngineFailed
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
from tramontane.foundation.nouns import Spend

MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_CALLS = 128
MAX_ARGUMENTS_CHARS = 1024 * 1024
DONE = b"[DONE]"


class BrokenStream(EngineFailed):
    """What arrived is not an answer."""


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Token(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list["_Token"] | None = None


class _Logprobs(msgspec.Struct):
    """The chat form in `content`; the form of text completions in the other lists."""

    content: list[_Token] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    text: str | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _CachedTokens(msgspec.Struct):
    cached_tokens: int | None = None


class _ReasoningTokens(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int | None = None
    prompt_tokens_details: _CachedTokens | None = None
    completion_tokens_details: _ReasoningTokens | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Chunk)
_REASONS = {"function_call": "tool_calls", "content_filter": "error", "eos": "stop", "abort": "error"}


class LineReader:
    """Cuts bytes into lines and keeps an unfinished one, up to `MAX_LINE_BYTES`."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines completed by `data`. Raises BrokenStream for one without end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise BrokenStream("the model server sent a line without end")
        return lines


class ChunkReader:
    """Reads one answer of `count` choices. `done` once the server has said so, `complete` once every choice has ended."""

    def __init__(self, count: int, prefix: str = "", thinks: bool = False) -> None:
        """`thinks`: an answer may begin with its thoughts; one that the caller has begun is past them."""
        self.done = False
        self._open = set(range(count))
        self._prefix = prefix
        self._thoughts = {index: LeadingThoughts(index) for index in range(count)} if thinks else {}
        self._reasoning_tokens = 0
        self._begun: set[int] = set()
        self._calls: dict[tuple[int, int], _Call] = {}
        self._usage: _Usage | None = None
        self.tokens = 0

    @property
    def complete(self) -> bool:
        return not self._open

    def line(self, line: bytes) -> list[Event]:
        """The events of one line of the stream. Raises BrokenStream."""
        if not line.startswith(b"data:"):
            return []  # comments, event names and empty lines
        data = line[5:].strip()
        if data == DONE:
            self.done = True
            if self._open:
                raise BrokenStream("the model server ended its answer before every choice was complete; try again")
            return []
        try:
            chunk = _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise BrokenStream("the model server sent something unreadable; try again") from None
        if chunk.error is not None:
            raise BrokenStream(f"the model server failed: {error_text(chunk.error)}")
        self._usage = chunk.usage or self._usage
        events: list[Event] = []
        for choice in chunk.choices:
            events += self._choice(choice)
        return events

    def spend(self, prompt_tokens: int) -> Spend:
        """What it cost as the server counts it; by our own count where it is silent."""
        usage = self._usage or _Usage()
        prompt = usage.prompt_tokens or prompt_tokens
        cached = (usage.prompt_tokens_details or _CachedTokens()).cached_tokens or 0
        cached = min(max(cached, 0), max(prompt - 1, 0))
        generated = self.tokens if usage.completion_tokens is None else usage.completion_tokens
        reasoning = (usage.completion_tokens_details or _ReasoningTokens()).reasoning_tokens
        if not reasoning:
            reasoning = min(
                self._reasoning_tokens + sum(one.reasoning_tokens for one in self._thoughts.values()), generated
            )
        return Spend(
            prompt_tokens=prompt,
            cached_tokens=cached,
            computed_tokens=prompt - cached,
            generated_tokens=generated,
            reasoning_tokens=reasoning,
            decode_positions=generated,
        )

    def _choice(self, choice: _Choice) -> list[Event]:
        index = choice.index
        if index not in self._open:
            if choice.finish_reason is None and not _says_anything(choice):
                return []
            raise BrokenStream("the model server sent a choice nobody asked for; try again")
        events = self._deltas(index, choice)
        if choice.finish_reason is not None:
            events += self._end(index, choice.finish_reason)
        return events

    def _deltas(self, index: int, choice: _Choice) -> list[Event]:
        delta = choice.delta or _Delta()
        text = choice.text or delta.content or ""
        thought = delta.reasoning_content or delta.reasoning or ""
        logprobs = _logprobs(choice.logprobs)
        events: list[Event] = []
        if thought:
            self.tokens += 1
            events += self._settled(index)
            events.append(ThinkingDelta(index, thought))
        if (text or logprobs) and self._prefix and index not in self._begun:
            self._begun.add(index)
            events.append(TextDelta(index, self._prefix, 0))
        if text or logprobs:
            tokens = len(logprobs) if logprobs else 1
            self.tokens += tokens
            events += self._text(index, text, tokens, logprobs)
        for call in delta.tool_calls or ():
            self._gather(index, call)
        return events

    def _text(self, index: int, text: str, tokens: int, logprobs: tuple[TokenChoice, ...] | None) -> list[Event]:
        thoughts = self._thoughts.get(index)
        if thoughts is None:
            return [TextDelta(index, text, tokens, logprobs)]
        events = thoughts.push(text, tokens, logprobs)
        return events + self._settled(index) if thoughts.over else events

    def _settled(self, index: int) -> list[Event]:
        """What was held back; from now on text of this choice is answer."""
        thoughts = self._thoughts.pop(index, None)
        if thoughts is None:
            return []
        events = thoughts.settle()
        self._reasoning_tokens += thoughts.reasoning_tokens
        return events

    def _gather(self, index: int, part: _Call) -> None:
        self.tokens += 1
        call = self._calls.setdefault((index, part.index), _Call(function=_Function("", "")))
        if len(self._calls) > MAX_CALLS:
            raise BrokenStream(f"the model made more than {MAX_CALLS} tool calls")
        assert call.function is not None
        call.id = call.id or part.id
        if part.function is not None:
            call.function.name = (call.function.name or "") + (part.function.name or "")
            call.function.arguments = (call.function.arguments or "") + (part.function.arguments or "")
        if len(call.function.arguments or "") > MAX_ARGUMENTS_CHARS:
            raise BrokenStream("the model's tool call has arguments without end")

    def _end(self, index: int, reason: str) -> list[Event]:
        self._open.discard(index)
        events = self._settled(index)
        calls = sorted((place, call) for (owner, place), call in self._calls.items() if owner == index)
        for position, (_, call) in enumerate(calls):
            function = call.function or _Function()
            name, arguments = function.name or "", function.arguments or "{}"
            events.append(ToolCallDelta(index, position, call.id or random_word(9), name, arguments))
        if calls:
            reason = "tool_calls"
        known = _REASONS.get(reason, reason)
        ending: Any = known if known in get_args(FinishReason) else "stop"
        return [*events, ChoiceEnd(index, ending)]


def error_text(error: object) -> str:
    """What a server says about its error, short and on one line."""
    if isinstance(error, dict):
        error = error.get("message") or error.get("error") or error.get("detail") or error
    return " ".join(str(error).split())[:500]


def _says_anything(choice: _Choice) -> bool:
    delta = choice.delta or _Delta()
    return bool(choice.text or delta.content or delta.reasoning_content or delta.reasoning or delta.tool_calls)


def _logprobs(found: _Logprobs | None) -> tuple[TokenChoice, ...] | None:
    if found is None:
        return None
    if found.tokens and found.token_logprobs:
        return _text_logprobs(found.tokens, found.token_logprobs, found.top_logprobs or [])
    if not found.content:
        return None
    return tuple(
        TokenChoice(_candidate(token), tuple(_candidate(other) for other in token.top_logprobs or ()))
        for token in found.content
    )


def _text_logprobs(
    tokens: list[str], chosen: list[float | None], tops: list[dict[str, float] | None]
) -> tuple[TokenChoice, ...]:
    choices = []
    for token, logprob, top in zip_longest(tokens, chosen[: len(tokens)], tops[: len(tokens)]):
        ranked = sorted((top or {}).items(), key=lambda item: -item[1])
        others = tuple(Candidate(text, text.encode(), value) for text, value in ranked)
        choices.append(TokenChoice(Candidate(token, token.encode(), 0.0 if logprob is None else logprob), others))
    return tuple(choices)


def _candidate(token: _Token) -> Candidate:
    try:
        raw = token.token.encode() if token.bytes is None else bytes(token.bytes)
    except ValueError:
        raise BrokenStream("the model server sent bytes that are none; try again") from None
    return Candidate(token.token, raw, token.logprob)
