"""A small machine room over fake model servers: no queue, no fairness, just open, stream, cancel and count.

For tests of the doors alone; the real room has tests of its own.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from tests.fakes.model_server import FakeModelServer, prompt_words

from tramontane.engine.nouns import EngineStatus, LineStatus, RateViews, ReplicaStatus
from tramontane.engine.ports import Embedded, Prepared
from tramontane.foundation.errors import NotFound, TramontaneError
from tramontane.foundation.events import Event
from tramontane.foundation.nouns import Ask, Caller, EmbedAsk


class FakeAnswer:
    """One dispatched request; `ended` once its events were closed, whoever closed them."""

    def __init__(self, server: FakeModelServer, prepared: Prepared) -> None:
        self.request_id = prepared.ask.id
        self.model = server.model
        self.prepared = prepared
        self.ended = asyncio.Event()
        self._server = server
        self._read = False

    async def events(self) -> AsyncGenerator[Sequence[Event], None]:
        self._read = True
        try:
            async with aclosing(self._server.generate(self.prepared)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            self.ended.set()

    async def close(self) -> None:
        if not self._read:
            self._server.discard(self.prepared)
            self.ended.set()


class FakeRoom:
    """An EngineRoom. `refusal` is raised by the next opens; `hold` keeps opens waiting; `answers` lists all opened."""

    def __init__(self, *servers: FakeModelServer, rates: RateViews | None = None) -> None:
        self.servers = {server.model: server for server in servers}
        self.answers: list[FakeAnswer] = []
        self.callers: list[Caller] = []
        self.asks: list[Ask | EmbedAsk] = []
        self.refusal: TramontaneError | None = None
        self.hold: asyncio.Event | None = None
        self.abandoned = 0
        self._rates = rates or RateViews()

    async def open(self, caller: Caller, ask: Ask, *, dialect: str = "") -> FakeAnswer:
        server = self._server(caller, ask)
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.abandoned += 1
                raise
        prepared = await server.prepare(ask, namespace=caller.workspace_id.encode(), share=caller.workspace_id)
        answer = FakeAnswer(server, prepared)
        self.answers.append(answer)
        return answer

    async def embed(self, caller: Caller, ask: EmbedAsk, *, dialect: str = "") -> Embedded:
        return await self._server(caller, ask).embed(ask)

    def _server(self, caller: Caller, ask: Ask | EmbedAsk) -> FakeModelServer:
        self.callers.append(caller)
        self.asks.append(ask)
        if self.refusal is not None:
            raise self.refusal
        if ask.model not in self.servers:
            near = ", ".join(self.servers)
            raise NotFound(f"no model is named {ask.model}; near names: {near}", param="model", code="model_not_found")
        return self.servers[ask.model]

    async def count(self, caller: Caller, ask: Ask) -> int:
        return len(prompt_words(ask))

    def rates(self, caller: Caller) -> RateViews:
        return self._rates

    def status(self) -> EngineStatus:
        replicas = {
            name: ReplicaStatus(model=name, state="ready", capacity=server.capacity, load=server.load)
            for name, server in self.servers.items()
        }
        line = LineStatus(
            waiting=0,
            running=0,
            paused=0,
            waiting_by_workspace={},
            running_by_workspace={},
            length_limit=256,
            oldest_wait_ms=0,
            work_per_s=None,
        )
        lines = dict.fromkeys(self.servers, line)
        return EngineStatus(draining=False, open_requests=0, replicas=replicas, lines=lines, totals={})
