"""One request inside the engine: what is known of it between its arrival and its receipt.

A record that seating fills and a running stream reads; it decides nothing and calls nobody.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from tramontane.engine.account import Entry
from tramontane.engine.line import Line
from tramontane.engine.ports import ModelRef, Prepared
from tramontane.engine.queue import Ticket
from tramontane.foundation.nouns import Ask, Caller, EmbedAsk, Spend


class Work(msgspec.Struct, kw_only=True):
    """One request inside the engine, from arrival to receipt."""

    entry: Entry
    caller: Caller
    ask: Ask | EmbedAsk
    ref: ModelRef
    line: Line
    deadline_ns: int
    server: Any = None
    prepared: Prepared | None = None
    ticket: Ticket | None = None
    suspect: bool = False
    prompt_tokens: int = 0
    expected_tokens: int = 0
    reserved_tokens: int = 0
    queued_ns: int = 0
    generated_tokens: int = 0
    delivered: bool = False
    retried: bool = False
    on_settled: Callable[[str], object] | None = None

    @property
    def model(self) -> str:
        return self.ref.name

    def served(self, tokens: int) -> None:
        """On the token path: a batch with `tokens` more came."""
        self.delivered = True
        self.generated_tokens += tokens
        assert self.ticket is not None
        self.line.served(self.ticket, tokens)

    def with_wait(self, spend: Spend) -> Spend:
        """The server's count with the time in our line added."""
        return msgspec.structs.replace(spend, queued_ns=spend.queued_ns + self.queued_ns)

    def estimated(self) -> Spend:
        """What it cost as far as we saw, when the server cannot say any more."""
        computed_tokens = self.prompt_tokens if self.delivered or self.prepared is None else 0
        return Spend(
            prompt_tokens=self.prompt_tokens,
            computed_tokens=computed_tokens,
            generated_tokens=self.generated_tokens,
            decode_positions=self.generated_tokens,
            queued_ns=self.queued_ns,
        )

    def fingerprint(self) -> bytes:
        """The same request again has the same one, whatever its id."""
        ask = msgspec.structs.replace(self.ask, id="")
        named = msgspec.msgpack.encode((self.caller.workspace_id, self.model, ask))
        return hashlib.blake2b(named, digest_size=16).digest()
