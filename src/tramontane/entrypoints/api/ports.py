"""What the HTTP doors need from inside: the engine, who a key belongs to, which models there are, how things stand.

The composition root fills a `Doors` with the real things; tests fill it with fakes. Nothing here knows HTTP.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from tramontane.engine.ports import Embedded, Prepared
from tramontane.entrypoints.api.drain import Drain
from tramontane.foundation.clock import Clock, SystemClock
from tramontane.foundation.events import Event
from tramontane.foundation.nouns import Ask, Caller, EmbedAsk
from tramontane.foundation.settings import HttpSettings

Capability = Literal["chat", "fim", "function_calling", "reasoning", "vision", "embedding"]
ModelState = Literal["absent", "loading", "ready", "draining", "quarantined"]


class Running(Protocol):
    """An ask that was admitted, read and dispatched; its answer is under way."""

    @property
    def prepared(self) -> Prepared: ...

    @property
    def request_id(self) -> str: ...

    def events(self) -> AsyncGenerator[Sequence[Event], None]:
        """One batch per engine step; the last event is Finished or Failed. Closing it cancels."""
        ...


class Engine(Protocol):
    """The machine room as the doors see it. Every method raises the foundation's errors."""

    async def open(self, caller: Caller, ask: Ask) -> Running:
        """Return once the ask is dispatched; everything before that is a refusal with a true status."""
        ...

    async def embed(self, caller: Caller, ask: EmbedAsk) -> Embedded: ...

    async def count(self, caller: Caller, ask: Ask) -> int:
        """Prompt tokens the ask would take."""
        ...

    async def cancel(self, request_id: str, caller: Caller) -> Any:
        """End a request of this caller that is open; needed where its events are never read."""
        ...


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A model as callers see it. `created_s` is seconds since the epoch."""

    name: str
    aliases: tuple[str, ...] = ()
    label: str | None = None
    description: str | None = None
    owned_by: str = "tramontane"
    created_s: int = 0
    context_tokens: int = 32768
    capabilities: frozenset[Capability] = frozenset()
    default_temperature: float | None = None
    fine_tuned_from: str | None = None


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one model stands now, for readiness and metrics. `progress` is 0..1 while loading."""

    name: str
    state: ModelState
    running: int = 0
    waiting: int = 0
    cache_used_tokens: int = 0
    cache_tokens: int = 0
    resident_bytes: int = 0
    progress: float = 0.0
    detail: str = ""
    wanted: bool = True


class Window(msgspec.Struct, frozen=True):
    """One rate limit: how many a minute, how many are left, seconds until it is whole again."""

    limit: int
    remaining: int
    reset_s: float


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller may still do; None where no limit exists."""

    requests: Window | None = None
    tokens: Window | None = None


def _unlimited(_caller: Caller) -> Allowance | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Doors:
    """Everything behind the doors. `authenticate` raises Unauthenticated; `models` lists what this caller may use."""

    engine: Engine
    authenticate: Callable[[str], Awaitable[Caller]]
    models: Callable[[Caller], Awaitable[Sequence[ModelCard]]]
    status: Callable[[], Sequence[ModelStatus]]
    settings: HttpSettings = HttpSettings()
    bound_host: str = "127.0.0.1"
    clock: Clock = field(default_factory=SystemClock)
    allowance: Callable[[Caller], Allowance | None] = _unlimited
    drain: Drain = field(default_factory=Drain)
