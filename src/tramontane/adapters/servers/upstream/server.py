"""Any server that speaks OpenAI's API, kept to the ModelServer contract.

Knows requests in flight, their last words and what can be learned about the server; how asks are written and chunks are
read is next door. The composition root connects one for each catalogue entry that lives elsewhere.
"""

import base64
import binascii
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

import numpy as np

from tramontane.adapters.servers.upstream.counting import PromptCounter, learn
from tramontane.adapters.servers.upstream.link import Link, UpstreamSettings
from tramontane.adapters.servers.upstream.question import check, prefix_of, question
from tramontane.adapters.servers.upstream.reading import BrokenStream, ChunkReader, LineReader
from tramontane.engine.ports import Capacity, Embedded, Load, Prepared
from tramontane.foundation.errors import BadRequest, Conflict, ContextExceeded, EngineFailed, TramontaneError
from tramontane.foundation.events import Event, Failed, Finished
from tramontane.foundation.nouns import Ask, EmbedAsk, Spend

UNKNOWN_CONTEXT_TOKENS = 1 << 20
KEPT_SPENDS = 1024

log = logging.getLogger(__name__)


async def connect(
    model: str, settings: UpstreamSettings, on_close: Callable[[], Awaitable[None]] | None = None
) -> "UpstreamServer":
    """Learn what the server tells about itself; `on_close` is awaited when the connection is given up.

    Raises ModelUnavailable when the server cannot be reached or refuses us.
    """
    link = Link(model, settings)
    try:
        owner, context_tokens, counter = await learn(link, settings)
    except BaseException:
        await link.close()
        raise
    capacity = Capacity(slots=settings.slots, context_tokens=context_tokens or UNKNOWN_CONTEXT_TOKENS)
    server = UpstreamServer(model, settings, link, owner, counter, capacity)
    server.on_close = on_close
    return server


class UpstreamServer:
    """A ModelServer over HTTP."""

    def __init__(
        self,
        model: str,
        settings: UpstreamSettings,
        link: Link,
        owner: str,
        counter: PromptCounter,
        capacity: Capacity,
    ) -> None:
        self.model = model
        self.capacity = capacity
        self.alive = True
        self.on_close: Callable[[], Awaitable[None]] | None = None
        self._settings = settings
        self._link = link
        self._owner = owner
        self._counter = counter
        self._prepared: dict[str, bytes] = {}
        self._active: set[str] = set()
        self._handed_up: set[str] = set()  # their readers have a batch and have not asked for the next
        self._spends: dict[str, Spend] = {}
        self._progress = 0

    @property
    def load(self) -> Load:
        return Load(running=len(self._active), progress=self._progress)

    @property
    def awaited(self) -> int:
        """Answers whose next word the server owes us; those with slow readers are not among them."""
        return len(self._active) - len(self._handed_up)

    async def prepare(self, ask: Ask, *, namespace: bytes, share: str, weight: int = 1) -> Prepared:
        """See ModelServer. The prompt is counted where the server offers it, else estimated."""
        self._refuse_when_closed()
        if ask.id in self._prepared or ask.id in self._active:
            raise Conflict(f"request {ask.id} is already open; use a fresh id")
        check(ask)
        self._prepared[ask.id] = namespace
        try:
            prompt_tokens, exact = await self._counter.count(ask)
            max_tokens = self._fit(ask, prompt_tokens, exact)
        except BaseException:
            self._prepared.pop(ask.id, None)
            raise
        return Prepared(ask=ask, prompt_tokens=prompt_tokens, max_tokens=max_tokens, exact=exact)

    def _fit(self, ask: Ask, prompt_tokens: int, exact: bool) -> int:
        context = self.capacity.context_tokens
        if exact and prompt_tokens >= context:
            message = f"prompt has {prompt_tokens} tokens, the context of {self.model} is {context}; shorten the prompt"
            raise ContextExceeded(message, param="messages" if ask.kind == "chat" else "prompt")
        room = max(context - prompt_tokens, 1)
        wanted = ask.limits.max_tokens
        return room if wanted is None else min(room, wanted)

    def generate(self, prepared: Prepared) -> AsyncGenerator[Sequence[Event], None]:
        """See ModelServer. A batch is what one read from the connection brought."""
        namespace = self._prepared.pop(prepared.ask.id, None)
        return _unprepared(prepared.ask.id) if namespace is None else self._answer(prepared, namespace)

    async def _answer(self, prepared: Prepared, namespace: bytes) -> AsyncGenerator[Sequence[Event], None]:
        request_id = prepared.ask.id
        ask, begun = prepared.ask, prefix_of(prepared.ask)
        prefix = "" if self._owner == "tramontane" else begun
        reader = ChunkReader(ask.n, prefix, thinks=ask.kind == "chat" and not begun)
        ended = False
        self._active.add(request_id)
        try:
            self._refuse_when_closed()
            async with aclosing(self._batches(prepared.ask, namespace, reader)) as batches:
                async for batch in batches:
                    self._progress += 1
                    self._handed_up.add(request_id)
                    yield batch
                    self._handed_up.discard(request_id)
            ended = True
            yield [Finished(reader.spend(prepared.prompt_tokens))]
        except TramontaneError as error:
            ended = True
            code, message = (error.code, error.message) if self.alive else (EngineFailed.code, self._gone())
            yield [Failed(code, message, reader.spend(prepared.prompt_tokens))]
        finally:
            self._active.discard(request_id)
            self._handed_up.discard(request_id)
            if not ended:
                self._keep(request_id, reader.spend(prepared.prompt_tokens))

    async def _batches(self, ask: Ask, namespace: bytes, reader: ChunkReader) -> AsyncGenerator[list[Event], None]:
        path, body = question(ask, self._settings.upstream_model, self._owner, namespace)
        lines = LineReader()
        async with self._link.stream(path, body) as parts:
            async for part in parts:
                events, broken = _events(reader, lines.feed(part))
                if events:
                    yield events
                if broken is not None:
                    raise broken
                if reader.done:
                    return
        # Many servers leave out the closing mark or the last line's end; each choice's own ending says that it is whole.
        events, broken = _events(reader, lines.feed(b"\n"))
        if events:
            yield events
        if broken is not None:
            raise broken
        if not reader.complete:
            raise EngineFailed(f"the server of {self.model} ended in the middle of an answer; try again")

    def _keep(self, request_id: str, spend: Spend) -> None:
        self._spends[request_id] = spend
        if len(self._spends) > KEPT_SPENDS:
            self._spends.pop(next(iter(self._spends)))

    def discard(self, prepared: Prepared) -> None:
        """See ModelServer."""
        self._prepared.pop(prepared.ask.id, None)

    def cancelled_spend(self, request_id: str) -> Spend | None:
        """See ModelServer; counted by the chunks that had arrived."""
        return self._spends.pop(request_id, None)

    async def pause(self, request_id: str) -> None:
        """Not possible over this API; `capacity.can_pause` says so."""

    async def resume(self, request_id: str) -> None:
        """Not possible over this API."""

    async def embed(self, ask: EmbedAsk) -> Embedded:
        """See ModelServer."""
        self._refuse_when_closed()
        body: dict[str, Any] = {
            "model": self._settings.upstream_model,
            "input": [text if isinstance(text, str) else list(text) for text in ask.inputs],
            "encoding_format": "float",
        }
        if ask.dimensions is not None:
            body["dimensions"] = ask.dimensions
        answer = await self._link.post("/embeddings", body)
        self._progress += 1
        try:
            return _embedded(answer, len(ask.inputs))
        except (KeyError, TypeError, ValueError, IndexError, binascii.Error):
            raise EngineFailed(f"the server of {self.model} sent no usable vectors; try again") from None

    async def close(self) -> None:
        """Hang up; requests still running end with Failed."""
        self.alive = False
        await self._link.close()
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            await on_close()

    def _gone(self) -> str:
        return f"the server of {self.model} was disconnected; try again"

    def _refuse_when_closed(self) -> None:
        if not self.alive:
            raise EngineFailed(self._gone())


def _events(reader: ChunkReader, lines: Sequence[bytes]) -> tuple[list[Event], BrokenStream | None]:
    """What the lines say up to the first broken one: words that came in one read with a failure have come all the same."""
    events: list[Event] = []
    try:
        for line in lines:
            events += reader.line(line)
    except BrokenStream as error:
        return events, error
    return events, None


async def _unprepared(request_id: str) -> AsyncGenerator[Sequence[Event], None]:
    message = f"request {request_id} is not prepared or already runs; prepare it before generating"
    yield [Failed(BadRequest.code, message)]


def _embedded(answer: Any, count: int) -> Embedded:
    """Rows in the order of the inputs. Raises ValueError and its like for anything else."""
    rows: list[bytes | None] = [None] * count
    sizes = set()
    for item in answer["data"]:
        vector = item["embedding"]
        if isinstance(vector, str):
            row = np.frombuffer(base64.b64decode(vector, validate=True), "<f4")
        else:
            row = np.asarray(vector, "<f4")
        if row.ndim != 1 or not np.isfinite(row).all():
            raise ValueError("a vector is no list of finite numbers")
        sizes.add(len(row))
        rows[int(item["index"])] = row.tobytes()
    complete = [row for row in rows if row is not None]
    if len(complete) != count or len(answer["data"]) != count or len(sizes) != 1:
        raise ValueError("vectors are missing")
    tokens = int((answer.get("usage") or {}).get("prompt_tokens", 0))
    return Embedded(rows=complete, dimensions=sizes.pop(), spend=Spend(prompt_tokens=tokens, computed_tokens=tokens))
