"""Keeps exactly one receipt for every request that came in, whatever became of it, and the live totals.

Posts to the ReceiptBook port, which writes in batches off the token path. Knows no queue and no server; the room opens
an entry before anything else can fail and closes it once.
"""

import asyncio
from typing import Literal

import msgspec

from tramontane.engine.nouns import Totals
from tramontane.engine.ports import ReceiptBook
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Conflict
from tramontane.foundation.nouns import Caller, Spend

Outcome = Literal["finished", "failed", "cancelled", "refused"]


class Entry(msgspec.Struct, kw_only=True):
    """One request between its arrival and its receipt. `model` is as asked until it is resolved.

    `arrived_ns` is monotonic, `time_ns` since the epoch.
    """

    request_id: str
    caller: Caller
    model: str
    kind: str
    dialect: str
    arrived_ns: int
    time_ns: int
    closed: bool = False

    def receipt(self) -> dict[str, object]:
        """What is known of it from the beginning."""
        return {
            "organisation_id": self.caller.organisation_id,
            "workspace_id": self.caller.workspace_id,
            "request_id": self.request_id,
            "time_ns": self.time_ns,
            "principal_id": self.caller.principal_id,
            "key_id": self.caller.key_id,
            "model": self.model,
            "kind": self.kind,
            "dialect": self.dialect,
        }


class Account:
    """All open entries, and the sums of the closed ones by model."""

    def __init__(self, book: ReceiptBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock
        self._open: dict[str, Entry] = {}
        self._totals: dict[str, dict[str, int]] = {}
        self._all_closed = asyncio.Event()
        self._all_closed.set()

    def begin(self, caller: Caller, request_id: str, *, model: str, kind: str, dialect: str) -> Entry:
        """Raises Conflict when a request of this id is open."""
        if request_id in self._open:
            raise Conflict(f"request {request_id} is already open; use a fresh id")
        entry = Entry(
            request_id=request_id,
            caller=caller,
            model=model,
            kind=kind,
            dialect=dialect,
            arrived_ns=self._clock.monotonic_ns(),
            time_ns=self._clock.now_ns(),
        )
        self._book.begin(entry.receipt())
        self._open[request_id] = entry
        self._all_closed.clear()
        return entry

    def close(self, entry: Entry, outcome: Outcome, code: str = "", spend: Spend | None = None) -> None:
        """Post the receipt; a second close of the same entry does nothing."""
        if entry.closed:
            return
        entry.closed = True
        del self._open[entry.request_id]
        if not self._open:
            self._all_closed.set()
        spend = spend or Spend()
        self._add(entry.model, outcome, spend)
        self._book.post(
            {**entry.receipt(), "outcome": outcome, "error_code": code or None, **msgspec.structs.asdict(spend)}
        )

    def ensure_room(self) -> None:
        """Raises Overloaded while receipts cannot be kept."""
        self._book.ensure_room()

    @property
    def open_count(self) -> int:
        return len(self._open)

    async def all_closed(self) -> None:
        """Return once no request is open."""
        await self._all_closed.wait()

    def totals(self) -> dict[str, Totals]:
        return {model: Totals(**sums) for model, sums in self._totals.items()}

    def _add(self, model: str, outcome: Outcome, spend: Spend) -> None:
        sums = self._totals.get(model)
        if sums is None:
            # Refused requests may name anything; unknown names share one row so that the table stays small.
            model = "" if outcome == "refused" else model
            sums = self._totals.setdefault(model, dict.fromkeys(Totals.__struct_fields__, 0))
        sums[outcome] += 1
        sums["prompt_tokens"] += spend.prompt_tokens
        sums["cached_tokens"] += spend.cached_tokens
        sums["generated_tokens"] += spend.generated_tokens
