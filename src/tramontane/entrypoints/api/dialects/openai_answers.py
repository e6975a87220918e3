"""The OpenAI dialect's answers: stream chunks and whole responses of chat and plain completions.

Usage comes in a chunk of its own and only when asked for. A stream that fails ends with one `error` object and without
`[DONE]`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from tramontane.entrypoints.api.dialects.collect import ChoiceDraft
from tramontane.entrypoints.api.dialects.frames import DONE, ChatFrames, json_text, one_line
from tramontane.entrypoints.api.dialects.usage import chat_logprobs, text_logprobs, usage
from tramontane.entrypoints.api.errors import error_body, error_named
from tramontane.foundation.events import ChoiceEnd, Event, Failed, Finished, TextDelta, ThinkingDelta, ToolCallDelta
from tramontane.foundation.nouns import Spend

_encode = msgspec.json.encode


def openai_reason(reason: str | None) -> str | None:
    return "length" if reason == "model_length" else reason


def error_frame(failed: Failed) -> bytes:
    """The one event that ends a broken stream."""
    body = error_body(error_named(failed.code, failed.message), "openai")
    return b"data: " + one_line(_encode(body)) + b"\n\n"


class OpenAIFrames(ChatFrames):
    """Chunks of `/openai/v1/chat/completions`."""

    def __init__(self, request_id: str, model: str, created_s: int, n: int, *, with_usage: bool) -> None:
        super().__init__(request_id, model, created_s, n, extra={"usage": None} if with_usage else None)
        self._with_usage = with_usage
        identity = {"id": request_id, "object": "chat.completion.chunk", "created": created_s, "model": model}
        self._identity = identity

    def _finished(self, event: Finished, out: list[bytes]) -> None:
        self.done, self.spend = True, event.spend
        if self._held is not None:
            out.append(self._end_frame(self._held, event.spend))
        if self._with_usage:
            last = {**self._identity, "choices": [], "usage": usage(event.spend)}
            out.append(b"data: " + one_line(_encode(last)) + b"\n\n")
        out.append(DONE)

    def _failed(self, event: Failed, out: list[bytes]) -> None:
        self.done, self.spend = True, event.spend
        out.append(error_frame(event))

    def _thinking(self, event: ThinkingDelta, out: list[bytes]) -> None:
        if event.text:
            out.append(self._frame(event.index, {"reasoning_content": event.text}))

    def _call(self, event: ToolCallDelta) -> dict[str, Any]:
        return {"tool_calls": [{"index": event.position, **_tool_call(event)}]}

    def _end_frame(self, event: ChoiceEnd, spend: Spend | None) -> bytes:
        return self._frame(event.index, {}, reason=openai_reason(event.reason))


class TextFrames:
    """Chunks of plain completions, `/v1/completions` and `/openai/v1/completions`."""

    def __init__(self, request_id: str, model: str, created_s: int, n: int, *, with_usage: bool) -> None:
        self._identity = {"id": request_id, "object": "text_completion", "created": created_s, "model": model}
        self._envelope = b"data: " + one_line(_encode(self._identity))[:-1]
        unknown = b',"usage":null' if with_usage else b""
        self._heads = [self._envelope + unknown + b',"choices":[{"index":%d,"text":' % index for index in range(n)]
        self._with_usage = with_usage
        self._offsets = [0] * n
        self.done = False
        self.spend: Spend | None = None

    def encode(self, batch: Sequence[Event]) -> bytes:
        return b"".join(self._frame(event) for event in batch)

    def fail(self, failed: Failed) -> bytes:
        return self._frame(failed)

    def _frame(self, event: Event) -> bytes:
        if isinstance(event, TextDelta | ThinkingDelta):
            return self._text(event)
        if isinstance(event, ChoiceEnd):
            reason = _encode(openai_reason(event.reason))
            return self._heads[event.index] + b'"","logprobs":null,"finish_reason":' + reason + b"}]}\n\n"
        if isinstance(event, Finished):
            self.done, self.spend = True, event.spend
            if not self._with_usage:
                return DONE
            last = {**self._identity, "choices": [], "usage": usage(event.spend)}
            return b"data: " + one_line(_encode(last)) + b"\n\n" + DONE
        if isinstance(event, Failed):
            self.done, self.spend = True, event.spend
            return error_frame(event)
        return b""

    def _text(self, event: TextDelta | ThinkingDelta) -> bytes:
        logprobs = b"null"
        if isinstance(event, TextDelta) and event.logprobs:
            logprobs = one_line(_encode(text_logprobs(event.logprobs, self._offsets[event.index])))
            self._offsets[event.index] += sum(len(choice.taken.text) for choice in event.logprobs)
        elif not event.text:
            return b""
        tail = b',"logprobs":' + logprobs + b',"finish_reason":null}]}\n\n'
        return self._heads[event.index] + json_text(event.text) + tail


def openai_answer(
    request_id: str, model: str, created_s: int, drafts: Sequence[ChoiceDraft], spend: Spend
) -> dict[str, Any]:
    """The whole response of a chat."""
    return {
        "id": request_id,
        "object": "chat.completion",
        "created": created_s,
        "model": model,
        "choices": [_choice(draft) for draft in drafts],
        "usage": usage(spend),
    }


def text_answer(
    request_id: str, model: str, created_s: int, drafts: Sequence[ChoiceDraft], spend: Spend
) -> dict[str, Any]:
    """The whole response of a plain completion."""
    choices = [
        {
            "index": draft.index,
            "text": draft.thinking + draft.text,
            "logprobs": None if draft.logprobs is None else text_logprobs(draft.logprobs, 0),
            "finish_reason": openai_reason(draft.reason),
        }
        for draft in drafts
    ]
    return {
        "id": request_id,
        "object": "text_completion",
        "created": created_s,
        "model": model,
        "choices": choices,
        "usage": usage(spend),
    }


def _tool_call(call: ToolCallDelta) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _choice(draft: ChoiceDraft) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": draft.text, "refusal": None}
    if draft.thinking:
        message["reasoning_content"] = draft.thinking
    if draft.calls:
        message["content"] = draft.text or None
        message["tool_calls"] = [_tool_call(call) for call in draft.calls]
    logprobs = None if draft.logprobs is None else {**chat_logprobs(draft.logprobs), "refusal": None}
    return {
        "index": draft.index,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": openai_reason(draft.reason),
    }
