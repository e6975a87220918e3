"""The words of how much: one receipt per request, whatever became of it, and sums over receipts. All frozen, no SQL.

Tokens and positions are counts, times nanoseconds; see `Spend` for what each counts.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tramontane.foundation.nouns import Caller, Spend

Outcome = Literal["finished", "failed", "cancelled", "refused"]
Dimension = Literal["workspace", "key", "model", "principal", "day"]
INTERRUPTED = "interrupted"
NOTHING = Spend()
SPEND_FIELDS = Spend.__struct_fields__
MAX_TEXT = 256
MAX_TIME_NS = 2**63 - 1
MAX_SPENT = 2**50  # thirteen days in nanoseconds; sums over thousands of such rows still fit a column


class Receipt(Spend, frozen=True, kw_only=True):
    """What one request cost and how it ended, as one row. `time_ns` is when it arrived, since the epoch."""

    organisation_id: str
    workspace_id: str
    request_id: str
    time_ns: int
    principal_id: str
    key_id: str | None = None
    model: str = ""
    kind: str = ""
    dialect: str = ""
    outcome: Outcome = "finished"
    error_code: str | None = None

    @classmethod
    def of(
        cls, caller: Caller, request_id: str, *, time_ns: int, spend: Spend = NOTHING, **rest: str | None
    ) -> "Receipt":
        """A receipt for this caller; `rest` gives model, kind, dialect, outcome and error_code."""
        return cls.read({"caller": caller, "request_id": request_id, "time_ns": time_ns, "spend": spend, **rest})

    @classmethod
    def read(cls, values: Mapping[str, object] | msgspec.Struct) -> "Receipt":
        """From these fields, where `caller` and `spend` may stand for their own; every value made storable.

        Raises msgspec.ValidationError for a missing field, a wrong type or an outcome that does not exist.
        """
        fields = dict(msgspec.structs.asdict(values) if isinstance(values, msgspec.Struct) else values)
        for part in (fields.pop("caller", None), fields.pop("spend", None)):
            if isinstance(part, msgspec.Struct):
                fields.update(msgspec.structs.asdict(part))
        return msgspec.convert({name: _storable(name, value) for name, value in fields.items()}, cls)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it the only one of its request."""
        return (self.organisation_id, self.workspace_id, self.request_id)


class Usage(Spend, frozen=True, kw_only=True):
    """Sums over receipts; the dimensions asked for are set, the others None. `day` counts days of UTC since the epoch."""

    workspace: str | None = None
    key: str | None = None
    model: str | None = None
    principal: str | None = None
    day: int | None = None
    requests: int = 0
    failed: int = 0
    cancelled: int = 0
    refused: int = 0


def _storable(name: str, value: object) -> object:
    """A caller chooses the model's name, and a server behind us its counts: no zero byte, no endless text or number."""
    if isinstance(value, str):
        return value[:MAX_TEXT].encode("utf-8", "replace").decode().replace("\0", "?")
    if isinstance(value, int) and not isinstance(value, bool):
        return min(max(value, 0), MAX_SPENT if name in SPEND_FIELDS else MAX_TIME_NS)
    return value
