"""The Mistral dialect's answers: stream chunks and whole responses of chat and fill-in-the-middle.

A stream that fails ends with `finish_reason` "error" on every open choice and without `[DONE]`.
"""

from collections.abc import Sequence
from typing import Any

from tramontane.entrypoints.api.dialects.collect import ChoiceDraft
from tramontane.entrypoints.api.dialects.frames import ChatFrames
from tramontane.entrypoints.api.dialects.usage import chat_logprobs, usage
from tramontane.entrypoints.api.errors import error_body, error_named
from tramontane.foundation.events import ChoiceEnd, Failed, ThinkingDelta, TokenChoice, ToolCallDelta
from tramontane.foundation.nouns import Spend


def _thinking_chunk(text: str, closed: bool) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": closed}


def _tool_call(call: ToolCallDelta) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
        "index": call.position,
    }


class MistralFrames(ChatFrames):
    """Chunks of `/v1/chat/completions` and `/v1/fim/completions`."""

    def _failed(self, event: Failed, out: list[bytes]) -> None:
        self.done, self.spend = True, event.spend
        error = error_body(error_named(event.code, event.message), "mistral")
        ends = sorted(self._open) or ([self._held.index] if self._held else [])
        for index in ends:
            more = {"usage": usage(event.spend), "error": error} if index == ends[-1] else None
            delta: dict[str, Any] = {"content": ""} if self._started[index] else {"role": "assistant", "content": ""}
            out.append(self._frame(index, delta, reason="error", more=more))

    def _thinking(self, event: ThinkingDelta, out: list[bytes]) -> None:
        if event.closed:
            self._thoughts[event.index] = event.text
        elif event.text:
            out.append(self._frame(event.index, {"content": [_thinking_chunk(event.text, False)]}))

    def _flush_thoughts(
        self, index: int, text: str, out: list[bytes], logprobs: Sequence[TokenChoice] | None = None
    ) -> None:
        held = self._thoughts.pop(index, None)
        if held is None:
            return
        content = [_thinking_chunk(held, True)]
        if text:
            content.append({"type": "text", "text": text})
        out.append(self._frame(index, {"content": content}, logprobs=logprobs))

    def _call(self, event: ToolCallDelta) -> dict[str, Any]:
        return {"content": "", "tool_calls": [_tool_call(event)]}

    def _end_frame(self, event: ChoiceEnd, spend: Spend | None) -> bytes:
        reason = "length" if event.reason == "model_length" else event.reason
        more = None if spend is None else {"usage": usage(spend)}
        return self._frame(event.index, {"content": ""}, reason=reason, more=more)


def mistral_answer(
    request_id: str, model: str, created_s: int, drafts: Sequence[ChoiceDraft], spend: Spend
) -> dict[str, Any]:
    """The whole response of chat and fill-in-the-middle."""
    return {
        "id": request_id,
        "object": "chat.completion",
        "created": created_s,
        "model": model,
        "choices": [_choice(draft) for draft in drafts],
        "usage": usage(spend),
    }


def _choice(draft: ChoiceDraft) -> dict[str, Any]:
    content: str | list[dict[str, Any]] = draft.text
    if draft.thinking:
        content = [_thinking_chunk(draft.thinking, True)]
        if draft.text:
            content.append({"type": "text", "text": draft.text})
    message: dict[str, Any] = {"role": "assistant", "content": content, "tool_calls": None, "prefix": False}
    if draft.calls:
        message["tool_calls"] = [_tool_call(call) for call in draft.calls]
    choice: dict[str, Any] = {"index": draft.index, "message": message, "finish_reason": draft.reason}
    if draft.logprobs is not None:
        choice["logprobs"] = chat_logprobs(draft.logprobs)
    return choice
