"""One answer while it is made: read from the engine by a task of its own, kept as it grows, passed on to whoever listens.

The task belongs to this room and not to the request: a listener that leaves ends it, but what came is always written down
before the last word goes out. Writing never stands on the token path. Fulfils the engine's `Answer`, so a door streams it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from tramontane.engine.facade import Answer
from tramontane.features.assistant.nouns import Entry, clean
from tramontane.features.assistant.turns import Turn
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import TramontaneError
from tramontane.foundation.events import ChoiceEnd, Event, Failed, Finished, TextDelta, ThinkingDelta, ToolCallDelta
from tramontane.foundation.ids import new_id
from tramontane.foundation.nouns import Spend

KEEP_S = 1.0
LAST_TRIES = 3
NS = 1_000_000_000
INTERRUPTING = frozenset({"cancelled", "draining"})
_log = logging.getLogger(__name__)


class Keeper(Protocol):
    """Where an answer is kept."""

    async def keep(self, turn: Turn, body: dict[str, Any]) -> None:
        """What there is so far."""
        ...

    async def finish(self, turn: Turn, entries: Sequence[Entry]) -> None:
        """The whole of it, with its status; the first of the entries is the one that was opened."""
        ...


@dataclass
class Draft:
    """What came so far."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[ToolCallDelta] = field(default_factory=list)
    reason: str | None = None
    tokens: int = 0
    first_ns: int | None = None
    last_ns: int = 0
    changes: int = 0

    def add(self, event: Event, now_ns: int) -> None:
        self.changes += 1
        if isinstance(event, TextDelta | ThinkingDelta):
            (self.texts if isinstance(event, TextDelta) else self.thoughts).append(event.text)
            self.tokens += event.tokens
            self.first_ns = self.first_ns or now_ns
            self.last_ns = now_ns
        elif isinstance(event, ToolCallDelta):
            self.calls.append(event)
            self.first_ns = self.first_ns or now_ns
        elif isinstance(event, ChoiceEnd):
            self.reason = event.reason

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def body(self) -> dict[str, Any]:
        """The content as it is shown: plain text, or thoughts before it."""
        thoughts, text = "".join(self.thoughts), self.text
        if not thoughts:
            return {"content": text}
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": thoughts}]}
        return {"content": [thinking, {"type": "text", "text": text}] if text else [thinking]}


class Run:
    """An answer being made. Read `events()` once, or wait for `finished()`; `close()` when nobody listens any more."""

    def __init__(self, turn: Turn, answer: Answer, keeper: Keeper, clock: Clock, begun_ns: int) -> None:
        self.turn = turn
        self.draft = Draft()
        self.status = "running"
        self.failure: Failed | None = None
        self.spend: Spend | None = None
        self.outputs: list[Entry] = []
        self._answer = answer
        self._keeper = keeper
        self._clock = clock
        self._begun_ns = begun_ns
        self._ended_as = "interrupted"
        self._outbox: list[Event] = []
        self._news = asyncio.Event()
        self._over = False
        self._making = False
        self._task = asyncio.create_task(self._make(), name=f"answer {turn.output_id}")

    @property
    def request_id(self) -> str:
        return self._answer.request_id

    @property
    def model(self) -> str:
        return self._answer.model

    @property
    def over(self) -> bool:
        """Nothing more will come, and what came is written down."""
        return self._over

    def whenever_over(self, call: Callable[["Run"], None]) -> None:
        self._task.add_done_callback(lambda _: call(self))

    async def events(self) -> AsyncGenerator[Sequence[Event], None]:
        """Batches as they come; the last event is `Finished` or `Failed`. The first batch is empty: the answer has begun."""
        yield ()
        while True:
            await self._news.wait()
            self._news.clear()
            batch, self._outbox = self._outbox, []
            if batch:
                yield batch
            if self._over and not self._outbox:
                return

    async def finished(self) -> None:
        """Wait for the end. Cancelling the wait does not end the answer; `close` does."""
        await asyncio.shield(self._task)

    def stop(self) -> bool:
        """End it because somebody asked to; False when it is over already."""
        return self._cancel("stopped")

    async def close(self) -> None:
        """The listener is gone: end it unless it is over."""
        self._cancel("interrupted")

    async def abandon(self) -> None:
        """End it and wait until what came is written down."""
        self._cancel("interrupted")
        await asyncio.wait({self._task})

    def _cancel(self, status: str) -> bool:
        if self._over or self.status != "running":
            return False
        self._ended_as = status
        self.status = status
        if self._making:
            self._task.cancel()
        else:
            # A task cancelled before its first step never runs at all: nobody would write the end down.
            asyncio.get_running_loop().call_soon(self._task.cancel)
        return True

    async def _make(self) -> None:
        self._making = True
        keeping = asyncio.create_task(self._keep_regularly()) if self.turn.stored else None
        try:
            word = await self._read()
        except asyncio.CancelledError:
            word = self._cut()
        finally:
            if keeping is not None:
                keeping.cancel()
        await self._finish(word)

    def _cut(self) -> Finished:
        """The last word of an answer that was ended from outside; the engine counts what it cost on its own."""
        return Finished(Spend(generated_tokens=self.draft.tokens))

    async def _read(self) -> Event:
        """Pass everything on but the last word."""
        try:
            async with aclosing(self._answer.events()) as batches:
                async for batch in batches:
                    word = self._take(batch)
                    if word is not None:
                        return word
            return Failed("engine_failed", "the answer ended without its last word; send it again")
        except TramontaneError as error:
            return Failed(error.code, error.message)
        # The engine room is the boundary: whatever it throws, the listener gets a last word.
        except Exception:
            _log.exception("the answer %s broke", self.turn.output_id)
            return Failed("internal_error", "something broke while answering; send it again")
        finally:
            await self._answer.close()

    def _take(self, batch: Sequence[Event]) -> Event | None:
        now_ns = self._clock.monotonic_ns()
        for event in batch:
            if isinstance(event, Finished | Failed):
                return event
            self.draft.add(event, now_ns)
            self._outbox.append(event)
        if batch:
            self._news.set()
        return None

    async def _finish(self, word: Event) -> None:
        self._judge(word)
        self.outputs = self._entries()
        if self.turn.stored:
            kept = await self._keep_all()
            if not kept and isinstance(word, Finished):
                word = self.failure = Failed(
                    "storage_failed", "the answer could not be saved; copy what you need of it"
                )
        self._outbox.append(word)
        self._over = True
        self._news.set()

    def _judge(self, word: Event) -> None:
        if isinstance(word, Failed):
            self.failure, self.spend = word, word.spend
            self.status = "interrupted" if word.code in INTERRUPTING else "failed"
        elif isinstance(word, Finished):
            self.spend = word.spend
            self.status = "done" if self.status == "running" else self._ended_as

    def _entries(self) -> list[Entry]:
        """What is kept: the text, and one entry per call of a function; the opened entry is the first of them."""
        now_ns, draft = self._clock.now_ns(), self.draft
        bodies: list[tuple[str, dict[str, Any]]] = []
        if draft.texts or draft.thoughts or not draft.calls:
            bodies.append(("message.output", draft.body()))
        for call in draft.calls:
            body = {"tool_call_id": call.id, "name": call.name, "arguments": call.arguments}
            bodies.append(("function.call", body))
        entries: list[Entry] = []
        for kind, body in bodies:
            one = Entry(
                entry_id=new_id("fc") if entries else self.turn.output_id,
                parent_id=entries[-1].entry_id if entries else None, kind=kind, body=body,
                role="assistant" if kind == "message.output" else None, status=self.status, model=self.model,
                error_code=self.failure.code if self.failure else None,
                error_message=clean(self.failure.message) if self.failure else None,
                usage=self.usage(), created_ns=now_ns, completed_ns=now_ns,
            )  # fmt: skip
            entries.append(one)
        return entries

    def usage(self) -> dict[str, Any]:
        """Tokens and speed. Times in milliseconds from the request's arrival."""
        spend, draft = self.spend or Spend(), self.draft
        first_ms = None if draft.first_ns is None else (draft.first_ns - self._begun_ns) / 1e6
        flowing_s = (draft.last_ns - draft.first_ns) / NS if draft.first_ns is not None else 0.0
        speed = (draft.tokens - 1) / flowing_s if draft.tokens > 1 and flowing_s > 0 else None
        reason = draft.reason if self.status == "done" else self.status
        return {
            "prompt_tokens": spend.prompt_tokens,
            "completion_tokens": spend.generated_tokens,
            "total_tokens": spend.prompt_tokens + spend.generated_tokens,
            "prompt_tokens_details": {"cached_tokens": spend.cached_tokens},
            "tramontane": {
                "first_token_ms": None if first_ms is None else round(first_ms, 1),
                "tokens_per_s": None if speed is None else round(speed, 2),
                "cached_tokens": spend.cached_tokens,
                "finish_reason": reason,
            },
        }

    async def _keep_all(self) -> bool:
        for attempt in range(LAST_TRIES):
            try:
                await self._keeper.finish(self.turn, self.outputs)
                return True
            except TramontaneError as error:
                _log.warning("the answer %s is not saved yet: %s", self.turn.output_id, error.message)
                await asyncio.sleep(0.2 * (attempt + 1))
            # The listener waits for a last word, whatever the keeper throws.
            except Exception:
                _log.exception("the answer %s cannot be saved", self.turn.output_id)
                return False
        return False

    async def _keep_regularly(self) -> None:
        kept = 0
        while True:
            await asyncio.sleep(KEEP_S)
            if self.draft.changes == kept:
                continue
            kept = self.draft.changes
            try:
                await self._keeper.keep(self.turn, self.draft.body())
            except TramontaneError as error:
                _log.warning("the answer %s is kept later: %s", self.turn.output_id, error.message)
            except Exception:
                _log.exception("the answer %s cannot be kept as it grows", self.turn.output_id)
                return
