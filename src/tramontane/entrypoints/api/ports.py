"""What the HTTP doors need from inside: the engine, who a key belongs to, which models there are, how things stand.

The composition root fills a `Doors` with the real things; tests fill it with fakes. Nothing here knows HTTP.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from tramontane.engine.nouns import EngineStatus, RateViews
from tramontane.engine.ports import Embedded
from tramontane.entrypoints.api.drain import Drain
from tramontane.foundation.clock import Clock, SystemClock
from tramontane.foundation.events import Event
from tramontane.foundation.nouns import Ask, Caller, EmbedAsk
from tramontane.foundation.settings import HttpSettings


class Answer(Protocol):
    """A dispatched request that holds its place on a server; read its events to the end or close it."""

    @property
    def request_id(self) -> str: ...

    @property
    def model(self) -> str:
        """Name of the catalogue entry that answers; an alias is resolved."""
        ...

    def events(self) -> AsyncGenerator[Sequence[Event], None]:
        """One batch per engine step; the last event is Finished or Failed. Closing the generator cancels. Once only."""
        ...

    async def close(self) -> None:
        """Cancel unless already over; at any time, any number of times."""
        ...


class EngineRoom(Protocol):
    """The engine as the doors see it. Every method raises the foundation's errors."""

    async def open(self, caller: Caller, ask: Ask, *, dialect: str = "") -> Answer:
        """Return once the ask is dispatched; until then nothing was sent and every refusal has a true status."""
        ...

    async def embed(self, caller: Caller, ask: EmbedAsk, *, dialect: str = "") -> Embedded: ...

    def rates(self, caller: Caller) -> RateViews:
        """The caller's buckets, for the rate-limit headers."""
        ...

    def status(self) -> EngineStatus: ...


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A model as callers see it. `created_s` is seconds since the epoch.

    `capabilities` are words of: chat, fim, function_calling, reasoning, vision, embedding.
    """

    name: str
    aliases: tuple[str, ...] = ()
    label: str | None = None
    description: str | None = None
    owned_by: str = "tramontane"
    created_s: int = 0
    context_tokens: int = 32768
    capabilities: frozenset[str] = frozenset()
    default_temperature: float | None = None
    fine_tuned_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class Doors:
    """Everything behind the doors.

    `authenticate` turns a presented key into its Caller or raises Unauthenticated; `models` lists what this caller may
    use; `required` names the models that must answer before `/readyz` says so; `bound_host` is where the server listens.
    """

    engine: EngineRoom
    authenticate: Callable[[str], Awaitable[Caller]]
    models: Callable[[Caller], Awaitable[Sequence[ModelCard]]]
    settings: HttpSettings = field(default_factory=HttpSettings)
    required: tuple[str, ...] = ()
    bound_host: str = "127.0.0.1"
    clock: Clock = field(default_factory=SystemClock)
    drain: Drain = field(default_factory=Drain)
