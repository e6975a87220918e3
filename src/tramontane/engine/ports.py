"""What the engine needs from outside: servers that hold weights, a way to start one, a book for what was spent."""

from collections.abc import AsyncGenerator, Sequence
from typing import Literal, Protocol

import msgspec

from tramontane.foundation.events import Event
from tramontane.foundation.nouns import Ask, Caller, EmbedAsk, Sampling, Spend
from tramontane.foundation.progress import ProgressReport


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What a running server can take: requests at once, tokens of context, tokens of key-value cache."""

    slots: int
    context_tokens: int
    cache_tokens: int = 0
    can_pause: bool = False


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a running server is doing now; `progress` grows with every step that computed something."""

    running: int = 0
    waiting_prefill_tokens: int = 0
    cache_used_tokens: int = 0
    progress: int = 0
    resident_bytes: int = 0


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """An ask the server has read and accepted. `exact` says whether the prompt was counted or estimated."""

    ask: Ask
    prompt_tokens: int
    max_tokens: int
    exact: bool = True


class Embedded(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors in the order of the inputs, each a packed little-endian float32 row."""

    rows: Sequence[bytes]
    dimensions: int
    spend: Spend


class ModelServer(Protocol):
    """One process (or remote service) that holds one model's weights. All methods raise errors of the foundation's tree."""

    @property
    def model(self) -> str:
        """Name of the catalogue entry it serves."""
        ...

    @property
    def capacity(self) -> Capacity: ...

    @property
    def load(self) -> Load: ...

    @property
    def alive(self) -> bool:
        """False from the moment the process behind it is known to be gone."""
        ...

    async def prepare(self, ask: Ask, *, namespace: bytes, share: str, weight: int = 1) -> Prepared:
        """Read and check an ask, count its prompt, compile its grammar. Computes nothing on the model.

        `namespace` salts the prefix cache; `share` and `weight` order prefill fairly inside the server.
        Raises BadRequest, ContextExceeded or InvalidFields for what the model cannot do. Either `generate` or
        `discard` must follow.
        """
        ...

    def generate(self, prepared: Prepared) -> AsyncGenerator[Sequence[Event], None]:
        """Answer. Every batch is one step; the last event of the last batch is Finished or Failed, always exactly one.

        Closing the generator cancels and frees the slot at the next step boundary.
        """
        ...

    def discard(self, prepared: Prepared) -> None:
        """Forget a prepared ask that will not be generated."""
        ...

    def cancelled_spend(self, request_id: str) -> Spend | None:
        """What a request closed before its end had cost, once; None when unknown (the estimate then is the caller's)."""
        ...

    async def pause(self, request_id: str) -> None:
        """Leave a running request out of the next steps; its cache stays unless memory is short."""
        ...

    async def resume(self, request_id: str) -> None: ...

    async def embed(self, ask: EmbedAsk) -> Embedded:
        """Vectors for every input; BadRequest when the model does not embed or an input is too long."""
        ...

    async def close(self) -> None:
        """Stop now; requests still running end with Failed."""
        ...


class ServerStarter(Protocol):
    """Starts servers: the composition root hands in one that knows every kind."""

    async def start(self, model: str, report: ProgressReport) -> ModelServer:
        """Load the model and return once it answers. Raises ModelUnavailable or BadRequest naming the cure."""
        ...

    def memory_bytes(self, model: str) -> int:
        """What the model will need once loaded, for the decision to unload others first."""
        ...


Outcome = Literal["finished", "failed", "cancelled", "refused"]


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What one request was, what it cost and how it ended; one that never comes to its end has failed.

    `model` is as asked until it is resolved; `time_ns` is its arrival since the epoch; `error_code` is None for `finished`.
    """

    caller: Caller
    request_id: str
    time_ns: int
    model: str
    kind: str
    dialect: str
    outcome: Outcome = "failed"
    error_code: str | None = None
    spend: Spend = Spend()


class ReceiptBook(Protocol):
    """Where spent work is posted. No method waits: it writes in batches off the token path."""

    def ensure_room(self) -> None:
        """Raises Overloaded while no more can be accounted for."""
        ...

    def begin(self, receipt: Receipt) -> None:
        """A request came in; should this process be killed, a receipt still stands for it."""
        ...

    def post(self, receipt: Receipt) -> None:
        """What the request cost and how it ended, beside what `begin` was told; once."""
        ...


class ModelRef(msgspec.Struct, frozen=True, kw_only=True):
    """A catalogue entry as the engine needs it: the name servers are started under, and how it is sampled unless asked."""

    name: str
    sampling: Sampling = Sampling()


class ModelDirectory(Protocol):
    """Says which model a caller means by a name or alias, and whether the caller may use it."""

    def resolve(self, caller: Caller, name: str) -> ModelRef:
        """Answers from memory, at once. Raises NotFound listing near names, Forbidden for a licence not accepted."""
        ...

    def named(self, name: str) -> ModelRef:
        """The entry for the operator's own commands; NotFound when there is none."""
        ...
