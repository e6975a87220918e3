"""Finds a server for a request and lets it read the ask, within the time the request has.

Knows the fleet and the salts of the prefix cache; knows no rates, and of a line only how long it is. Seating calls it
before a request joins its line, and again when the server that had read it died.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from tramontane.engine import admission
from tramontane.engine.fleet import Fleet
from tramontane.engine.namespaces import Namespaces
from tramontane.engine.nouns import SECOND_NS, Policy
from tramontane.engine.ports import ModelRef, ModelServer, Prepared
from tramontane.engine.work import Work
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import EngineFailed, ModelUnavailable, TramontaneError
from tramontane.foundation.nouns import Ask, Caller, EmbedAsk

T = TypeVar("T")
BYTES_PER_TOKEN = 4


class Preparing:
    """Gives works a server that has read their ask, and takes it from them."""

    def __init__(
        self, fleet: Fleet, namespaces: Namespaces, policy: Policy, clock: Clock, jitter: Callable[[], float]
    ) -> None:
        self._fleet = fleet
        self._namespaces = namespaces
        self._policy = policy
        self._clock = clock
        self._jitter = jitter

    async def prepare(self, work: Work) -> None:
        """Find a server and let it read the ask; once more when that server dies over it."""
        for attempt in (1, 2):
            await self._place(work)
            if isinstance(work.ask, EmbedAsk):
                work.prompt_tokens = _embed_tokens(work.ask)
                return
            try:
                reading = self._read(work.server, work.caller, work.ask, work.ref)
                work.prepared = await self._within(work, self._policy.first_token_s, reading)
                work.prompt_tokens = work.prepared.prompt_tokens
                return
            except EngineFailed:
                if attempt == 2 or work.server.alive:
                    raise
                self.drop_server(work)
            except TimeoutError:
                raise self.late(work) from None

    async def count(self, caller: Caller, ask: Ask, ref: ModelRef) -> int:
        """Prompt tokens of an ask, prepared and discarded."""
        try:
            async with asyncio.timeout(self._policy.max_wait_s):
                return await self._count(caller, ask, ref)
        except TimeoutError:
            raise self._still_loading(ref.name) from None

    def drop_server(self, work: Work) -> None:
        """The work is on its server no longer."""
        if not work.server.alive:
            self._fleet.note_death(work.server)
        self._fleet.release(work.server)

    def late(self, work: Work) -> TramontaneError:
        """Why a work that waited too long gets no server: its own deadline, or no room."""
        if self._clock.monotonic_ns() >= work.deadline_ns:
            return admission.deadline_passed()
        view = work.line.view(work.caller.workspace_id, work.caller.weight)
        return admission.no_room_in_time(view, self._jitter())

    async def _count(self, caller: Caller, ask: Ask, ref: ModelRef) -> int:
        server = await self._fleet.ready(ref.name)
        self._fleet.hold(server)
        try:
            prepared = await self._read(server, caller, ask, ref)
            server.discard(prepared)
        finally:
            self._fleet.release(server)
        return prepared.prompt_tokens

    async def _place(self, work: Work) -> None:
        server = self._fleet.ready_now(work.model) or await self._loaded(work)
        self._fleet.hold(server)
        work.server = server

    async def _loaded(self, work: Work) -> ModelServer:
        try:
            return await self._within(work, self._policy.max_wait_s, self._fleet.ready(work.model))
        except TimeoutError:
            if self._clock.monotonic_ns() >= work.deadline_ns:
                raise admission.deadline_passed() from None
        raise self._still_loading(work.model)

    def _still_loading(self, model: str) -> ModelUnavailable:
        hint_s = self._fleet.loading_hint_s(model)
        return ModelUnavailable(
            f"{model} is still loading; try again later",
            retry_after_s=admission.retry_after_s(hint_s, self._jitter()),
        )

    async def _read(self, server: ModelServer, caller: Caller, ask: Ask, ref: ModelRef) -> Prepared:
        workspace = caller.workspace_id
        advised = msgspec.structs.replace(ask, sampling=ask.sampling.filled_from(ref.sampling))
        return await server.prepare(
            advised, namespace=self._namespaces.of(workspace, ref.name), share=workspace, weight=caller.weight
        )

    async def _within(self, work: Work, seconds: float, call: Awaitable[T]) -> T:
        left_s = (work.deadline_ns - self._clock.monotonic_ns()) / SECOND_NS
        async with asyncio.timeout(min(seconds, left_s)):
            return await call


def _embed_tokens(ask: EmbedAsk) -> int:
    """A rough count, for order and rates only: the server counts exactly."""
    return sum(1 + len(item) // (BYTES_PER_TOKEN if isinstance(item, str) else 1) for item in ask.inputs)
