"""Events become the bytes of a stream: one writer per request, its envelope encoded once, text spliced in per token.

Holds what all dialects share: roles sent, choices open, the held last end, thoughts being closed. The dialects say how
a piece looks. Used by the streaming response only.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from tramontane.entrypoints.api.dialects.usage import chat_logprobs
from tramontane.foundation.events import (
    ChoiceEnd,
    Event,
    Failed,
    Finished,
    TextDelta,
    ThinkingDelta,
    TokenChoice,
    ToolCallDelta,
)
from tramontane.foundation.nouns import Spend

DONE = b"data: [DONE]\n\n"
_encode = msgspec.json.encode
# Line ends to some event-stream readers, though not to JSON.
_LINE_ENDS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


def one_line(encoded: bytes) -> bytes:
    """JSON bytes without any character a reader of lines could break at."""
    for raw, escaped in _LINE_ENDS:
        if raw in encoded:
            encoded = encoded.replace(raw, escaped)
    return encoded


def json_text(text: str) -> bytes:
    """A JSON string safe inside one event."""
    encoded = _encode(text)
    return encoded if text.isascii() else one_line(encoded)


class Frames(Protocol):
    """What the streaming response needs of a dialect."""

    done: bool
    spend: Spend | None

    def encode(self, batch: Sequence[Event]) -> bytes:
        """The frames of one step, possibly none."""
        ...

    def fail(self, failed: Failed) -> bytes:
        """The frames that end a broken stream."""
        ...


class ChatFrames:
    """The common half of both chat dialects. `done` after the last word; `spend` what it told."""

    def __init__(self, request_id: str, model: str, created_s: int, n: int, *, extra: dict[str, Any] | None = None):
        head = {
            "id": request_id,
            "object": "chat.completion.chunk",
            "created": created_s,
            "model": model,
            **(extra or {}),
        }
        self._envelope = b"data: " + one_line(_encode(head))[:-1]
        self._heads = [self._envelope + b',"choices":[{"index":%d,"delta":{"content":' % index for index in range(n)]
        self._tail = b'},"finish_reason":null}]}\n\n'
        self._open = set(range(n))
        self._started = [False] * n
        self._thoughts: dict[int, str] = {}
        self._held: ChoiceEnd | None = None
        self.done = False
        self.spend: Spend | None = None

    def encode(self, batch: Sequence[Event]) -> bytes:
        out: list[bytes] = []
        for event in batch:
            if type(event) is TextDelta and event.logprobs is None and not self._thoughts:
                if not self._started[event.index]:
                    self._start(event.index, out)
                if event.text:
                    out += (self._heads[event.index], json_text(event.text), self._tail)
            else:
                self._other(event, out)
        return b"".join(out)

    def fail(self, failed: Failed) -> bytes:
        out: list[bytes] = []
        self._failed(failed, out)
        return b"".join(out)

    def _start(self, index: int, out: list[bytes]) -> None:
        self._started[index] = True
        out.append(self._frame(index, {"role": "assistant", "content": ""}))

    def _other(self, event: Event, out: list[bytes]) -> None:
        if isinstance(event, Finished):
            self._finished(event, out)
            return
        if isinstance(event, Failed):
            self._failed(event, out)
            return
        if not self._started[event.index]:
            self._start(event.index, out)
        if isinstance(event, TextDelta):
            self._text(event, out)
        elif isinstance(event, ThinkingDelta):
            self._thinking(event, out)
        elif isinstance(event, ToolCallDelta):
            self._flush_thoughts(event.index, "", out)
            out.append(self._frame(event.index, self._call(event)))
        else:
            self._end(event, out)

    def _text(self, event: TextDelta, out: list[bytes]) -> None:
        if event.index in self._thoughts and event.text:
            self._flush_thoughts(event.index, event.text, out, event.logprobs)
        elif event.text or event.logprobs:
            out.append(self._frame(event.index, {"content": event.text}, logprobs=event.logprobs))

    def _end(self, event: ChoiceEnd, out: list[bytes]) -> None:
        """The end of the last open choice waits for the usage, which comes with the last word."""
        self._flush_thoughts(event.index, "", out)
        self._open.discard(event.index)
        if self._open:
            out.append(self._end_frame(event, None))
        else:
            self._held = event

    def _finished(self, event: Finished, out: list[bytes]) -> None:
        self.done, self.spend = True, event.spend
        if self._held is not None:
            out.append(self._end_frame(self._held, event.spend))
        out.append(DONE)

    def _failed(self, event: Failed, out: list[bytes]) -> None:
        raise NotImplementedError

    def _thinking(self, event: ThinkingDelta, out: list[bytes]) -> None:
        raise NotImplementedError

    def _flush_thoughts(
        self, index: int, text: str, out: list[bytes], logprobs: Sequence[TokenChoice] | None = None
    ) -> None:
        """Close held thoughts, together with the first text after them."""

    def _call(self, event: ToolCallDelta) -> dict[str, Any]:
        raise NotImplementedError

    def _end_frame(self, event: ChoiceEnd, spend: Spend | None) -> bytes:
        raise NotImplementedError

    def _frame(
        self,
        index: int,
        delta: dict[str, Any],
        *,
        reason: str | None = None,
        logprobs: Sequence[TokenChoice] | None = None,
        more: dict[str, Any] | None = None,
    ) -> bytes:
        choice: dict[str, Any] = {"index": index, "delta": delta, "finish_reason": reason}
        if logprobs:
            choice["logprobs"] = chat_logprobs(logprobs)
        rest = _encode({"choices": [choice], **(more or {})})
        return self._envelope + b"," + one_line(rest)[1:] + b"\n\n"
