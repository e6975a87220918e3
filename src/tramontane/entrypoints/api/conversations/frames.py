"""An answer's events as the bytes of a conversation's stream: every frame says its event twice, and there is no `[DONE]`.

Fulfils the streaming response's `Frames`. The text's envelope is encoded once per answer.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from tramontane.entrypoints.api.dialects.frames import json_text, one_line
from tramontane.entrypoints.api.errors import error_named, status_of
from tramontane.features.assistant.answering import Run
from tramontane.foundation.clock import Clock, iso_time
from tramontane.foundation.events import Event, Failed, Finished, TextDelta, ThinkingDelta, ToolCallDelta
from tramontane.foundation.nouns import Spend

_encode = msgspec.json.encode


def frame(content: dict[str, Any]) -> bytes:
    return b"event: " + content["type"].encode() + b"\ndata: " + one_line(_encode(content)) + b"\n\n"


class ConversationFrames:
    """Frames of one answer. `done` after the last word; `spend` what it told."""

    def __init__(self, run: Run, clock: Clock) -> None:
        self._run = run
        self._clock = clock
        self._began = False
        self._thinking = False
        self._index = 0
        self.done = False
        self.spend: Spend | None = None
        head = self._delta(0)
        self._head = b"event: message.output.delta\ndata: " + one_line(_encode(head))[:-1] + b',"content":'

    def encode(self, batch: Sequence[Event]) -> bytes:
        out = [] if self._began else [self._started()]
        for event in batch:
            if type(event) is TextDelta and not self._thinking:
                if event.text:
                    out += (self._head, json_text(event.text), b"}\n\n")
            else:
                out.append(self._other(event))
        return b"".join(out)

    def fail(self, failed: Failed) -> bytes:
        self.done, self.spend = True, failed.spend
        # Clients read the code as a number; the word stands beside it.
        status = status_of(error_named(failed.code, failed.message))
        content = self._event("conversation.response.error")
        return frame(content | {"message": failed.message, "code": status, "error": failed.code})

    def _started(self) -> bytes:
        self._began = True
        turn = self._run.turn
        ids = {"input_entry_ids": list(turn.input_ids), "output_entry_id": turn.output_id}
        content = self._event("conversation.response.started")
        return frame(content | {"conversation_id": turn.conversation.conversation_id, **ids})

    def _other(self, event: Event) -> bytes:
        if isinstance(event, TextDelta):
            return frame(self._delta(1) | {"content": event.text}) if event.text else b""
        if isinstance(event, ThinkingDelta):
            self._thinking = True
            chunk = {"type": "thinking", "thinking": [{"type": "text", "text": event.text}], "closed": event.closed}
            return frame(self._delta(0) | {"content": chunk})
        if isinstance(event, ToolCallDelta):
            return self._call(event)
        if isinstance(event, Failed):
            return self.fail(event)
        if isinstance(event, Finished):
            self.done, self.spend = True, event.spend
            return frame(self._event("conversation.response.done") | {"usage": self._run.usage()})
        return b""

    def _call(self, call: ToolCallDelta) -> bytes:
        """Called by the id under which it is kept, which is known only at the end; clients go by the call's own."""
        content = self._event("function.call.delta")
        named = {"id": call.id, "tool_call_id": call.id, "name": call.name, "arguments": call.arguments}
        return frame(content | named | {"output_index": call.position + 1, "model": self._run.model})

    def _delta(self, content_index: int) -> dict[str, Any]:
        content = self._event("message.output.delta")
        place = {"output_index": 0, "id": self._run.turn.output_id, "content_index": content_index}
        return content | place | {"model": self._run.model, "role": "assistant"}

    def _event(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "created_at": iso_time(self._clock.now_ns())}
