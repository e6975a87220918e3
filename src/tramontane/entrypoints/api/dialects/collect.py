"""Gathers a stream of events into whole answers, for requests that do not stream. Knows no dialect."""

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, field

from tramontane.entrypoints.api.errors import error_named
from tramontane.foundation.errors import EngineFailed
from tramontane.foundation.events import (
    ChoiceEnd,
    Event,
    Failed,
    Finished,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    TokenChoice,
    ToolCallDelta,
)
from tramontane.foundation.nouns import Spend


@dataclass
class ChoiceDraft:
    """One choice while it grows."""

    index: int
    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[ToolCallDelta] = field(default_factory=list)
    logprobs: list[TokenChoice] | None = None
    reason: FinishReason = "stop"

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def thinking(self) -> str:
        return "".join(self.thoughts)

    def add(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self.texts.append(event.text)
            if event.logprobs is not None:
                self.logprobs = [*(self.logprobs or ()), *event.logprobs]
        elif isinstance(event, ThinkingDelta):
            self.thoughts.append(event.text)
        elif isinstance(event, ToolCallDelta):
            self.calls.append(event)
        elif isinstance(event, ChoiceEnd):
            self.reason = event.reason


async def collect(batches: AsyncIterable[Sequence[Event]], n: int) -> tuple[list[ChoiceDraft], Spend]:
    """All choices and what they cost. Raises the error a failed stream names."""
    drafts = [ChoiceDraft(index) for index in range(n)]
    async for batch in batches:
        for event in batch:
            if isinstance(event, Finished):
                return drafts, event.spend
            if isinstance(event, Failed):
                raise error_named(event.code, event.message)
            drafts[event.index].add(event)
    raise EngineFailed("the answer ended without its last word; send the request again")
