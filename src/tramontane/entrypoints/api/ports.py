"""What the HTTP doors need from inside: the engine, who a key belongs to, which models there are, how things stand.

The composition root fills a `Doors` with the real things; tests fill it with fakes.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from fastapi import APIRouter

from tramontane.engine.facade import EngineRoom
from tramontane.entrypoints.api.drain import Drain
from tramontane.features.assistant.assistant import Assistant
from tramontane.foundation.clock import Clock, SystemClock
from tramontane.foundation.nouns import Caller
from tramontane.foundation.settings import HttpSettings
from tramontane.records.access.nouns import SignedIn


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


def default_settings() -> HttpSettings:
    return HttpSettings.model_validate({})


@dataclass(frozen=True, kw_only=True)
class Doors:
    """Everything behind the doors.

    `authenticate` turns a presented key into its Caller or raises Unauthenticated; `models` lists what this caller may
    use; `required` names the models that must answer before `/readyz` says so; `bound_host` is where the server listens.
    `sessions` turns the token of a browser's cookie into who is signed in or raises Unauthenticated; without it no cookie
    opens anything. `assistant` keeps conversations; without it there are none. `more` adds the routes of the ways in that
    stand on this one.
    """

    engine: EngineRoom
    authenticate: Callable[[str], Awaitable[Caller]]
    models: Callable[[Caller], Awaitable[Sequence[ModelCard]]]
    sessions: Callable[[str], Awaitable[SignedIn]] | None = None
    assistant: Assistant | None = None
    more: tuple[Callable[[APIRouter], None], ...] = ()
    settings: HttpSettings = field(default_factory=default_settings)
    required: tuple[str, ...] = ()
    bound_host: str = "127.0.0.1"
    clock: Clock = field(default_factory=SystemClock)
    drain: Drain = field(default_factory=Drain)
