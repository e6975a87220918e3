"""What the studio's pages need from inside: models as people see them, how they stand now, and the verbs on them.

The composition root fulfils `Studio`. Nothing here knows where weights come from or what a process is.
"""

from typing import Literal, Protocol

import msgspec

from tramontane.foundation.nouns import Caller
from tramontane.foundation.store.scope import Scope
from tramontane.records.access.nouns import Person
from tramontane.records.catalog.fit import Verdict
from tramontane.records.catalog.nouns import Acceptance, Licence, Machine, ModelEntry

ModelState = Literal["absent", "fetching", "installed", "loading", "loaded", "failed"]
Obstacle = Literal["memory", "disk", "engine"]


class Standing(msgspec.Struct, frozen=True):
    """How a model stands. `error` says what went wrong last; `unloading` while open requests are waited for."""

    state: ModelState = "absent"
    error: str = ""
    unloading: bool = False


class Step(msgspec.Struct, frozen=True):
    """How far a fetch or a load is. `total` 0 when nobody knows."""

    stage: str
    done: int
    total: int


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """All models at one moment: how each stands, and how far those are that are under way."""

    standings: dict[str, Standing]
    steps: dict[str, Step]


class FitWords(msgspec.Struct, frozen=True, kw_only=True):
    """The catalogue's verdict, its numbers, and one sentence; `obstacle` None where it fits."""

    verdict: Verdict
    reason: str
    obstacle: Obstacle | None = None
    needed_bytes: int = 0
    usable_bytes: int = 0


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """One model as a workspace sees it. `context_tokens` 0: not known before it is fetched.

    `partial_bytes` lie on the disk of a fetch that has not ended well. `own_aliases` are those the workspace itself has set.
    """

    entry: ModelEntry
    aliases: tuple[str, ...]
    own_aliases: tuple[str, ...] = ()
    licence: Licence
    acceptance: Acceptance | None
    memory_bytes: int
    context_tokens: int
    engine: str
    here: bool
    partial_bytes: int = 0
    standing: Standing
    fit: FitWords
    default: bool


class Studio(Protocol):
    """Models for the pages of a browser. Every verb raises NotFound for a model the workspace may not see."""

    async def models(self, scope: Scope) -> tuple[list[ModelView], Machine]: ...

    def visible(self, scope: Scope) -> frozenset[str]:
        """The names a workspace may know."""
        ...

    def board(self) -> Board:
        """How every model stands, whoever may see it; cheap."""
        ...

    async def pull(self, caller: Caller, name: str) -> None:
        """Begin fetching, or join the fetch under way. Raises LicenceNotAccepted, NoEngine, Conflict."""
        ...

    async def cancel(self, caller: Caller, name: str) -> None:
        """Stop fetching; what has arrived stays for the next time. Nothing to stop is no error."""
        ...

    async def load(self, caller: Caller, name: str) -> None:
        """Begin loading. Raises what refuses it at once; what fails later stands on the board."""
        ...

    async def unload(self, caller: Caller, name: str) -> None:
        """Begin unloading; open requests end first."""
        ...

    async def accept_licence(self, caller: Caller, person: Person, name: str) -> None:
        """The person agrees for the organisation."""
        ...

    async def set_alias(self, caller: Caller, name: str, alias: str) -> None:
        """Let `alias` mean the model in the caller's workspace, whatever it meant before. Raises InvalidFields, NameTaken."""
        ...

    async def drop_alias(self, caller: Caller, name: str, alias: str) -> None:
        """Forget an alias of the model that the workspace has set. Raises NotFound."""
        ...

    async def remove(self, caller: Caller, name: str) -> None:
        """Take the model off this machine, or what an unfinished fetch has left. Raises Conflict while it is fetched."""
        ...
