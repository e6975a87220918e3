"""What the floors above see of the engine: a room to ask in, and an answer to read.

Declared apart from `room`, so that a door can be tested on any room that keeps it. Knows no HTTP and no dialect.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from tramontane.engine.nouns import EngineStatus, RateViews
from tramontane.engine.ports import Embedded
from tramontane.foundation.events import Event
from tramontane.foundation.nouns import Ask, Caller, EmbedAsk


class Answer(Protocol):
    """A dispatched request that holds its place on a server. Read `events()` to its end or `close()` it."""

    @property
    def request_id(self) -> str: ...

    @property
    def model(self) -> str:
        """Name of the catalogue entry that answers (an alias is resolved)."""
        ...

    def events(self) -> AsyncGenerator[Sequence[Event], None]:
        """Batches of events; the last event of the last batch is `Finished` or `Failed`, always exactly one.

        Closing the generator, or cancelling the task that reads it, cancels the request. To be called once.
        """
        ...

    async def close(self) -> None:
        """Cancel unless already over. Safe to call at any time, any number of times."""
        ...


class EngineRoom(Protocol):
    """What the doors see of the engine."""

    async def open(self, caller: Caller, ask: Ask, *, dialect: str = "") -> Answer:
        """Admit, place, prepare, queue and dispatch. Returns when the request may run; nothing was sent before.

        Raises NotFound, Forbidden, BadRequest, ContextExceeded, InvalidFields for the ask; RateLimited for the
        caller's rate or full line; Overloaded, ModelUnavailable, DeadlineExceeded, EngineFailed for our side.
        Cancelling the awaiting task leaves the line.
        """
        ...

    async def embed(self, caller: Caller, ask: EmbedAsk, *, dialect: str = "") -> Embedded: ...

    async def count(self, caller: Caller, ask: Ask) -> int:
        """Prompt tokens of an ask, without running it."""
        ...

    def rates(self, caller: Caller) -> RateViews:
        """The caller's buckets, for the x-ratelimit headers."""
        ...

    def status(self) -> EngineStatus: ...
