"""Keeps exactly one receipt for every request that came in, whatever became of it, and the live totals.

Posts to the ReceiptBook port, which writes in batches off the token path. Knows no queue and no server; the room opens
an entry before anything else can fail and closes it once.
"""

import asyncio

import msgspec

from tramontane.engine.nouns import Totals
from tramontane.engine.ports import Outcome, Receipt, ReceiptBook
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Conflict
from tramontane.foundation.nouns import Caller, Spend


class Entry(msgspec.Struct, kw_only=True):
    """One request between its arrival and its last word; `receipt` is what is known so far, `arrived_ns` is monotonic."""

    receipt: Receipt
    arrived_ns: int
    closed: bool = False

    @property
    def request_id(self) -> str:
        return self.receipt.request_id

    @property
    def caller(self) -> Caller:
        return self.receipt.caller

    def resolve(self, model: str) -> None:
        """From now on it is known which entry of the catalogue was meant."""
        self.receipt = msgspec.structs.replace(self.receipt, model=model)


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
        receipt = Receipt(
            caller=caller,
            request_id=request_id,
            time_ns=self._clock.now_ns(),
            model=model,
            kind=kind,
            dialect=dialect,
        )
        entry = Entry(receipt=receipt, arrived_ns=self._clock.monotonic_ns())
        self._book.begin(receipt)
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
        self._add(entry.receipt.model, outcome, spend)
        self._book.post(msgspec.structs.replace(entry.receipt, outcome=outcome, error_code=code or None, spend=spend))

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
