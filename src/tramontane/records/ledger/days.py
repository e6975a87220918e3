"""Sums of whole days for the pages that show many at once, each day summed once and kept with how many receipts it stands for.

Receipts are only ever added: a day whose number of receipts is still the same has the same sums. So counting, which an
index answers, says which days have to be summed again, and nothing can be shown that has gone stale. Blocking.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection

from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.ledger import store
from tramontane.records.ledger.nouns import SPEND_FIELDS, Dimension, Usage

DAY_NS = 86_400 * 1_000_000_000
MOST_ROWS = 200_000
_FINEST: tuple[Dimension, ...] = ("day", "model", "principal", "key")
_COUNTED = ("requests", "failed", "cancelled", "refused", *SPEND_FIELDS)
_Day = tuple[Scope, int]


class DaySums:
    """Usage by day, model, key and principal. One per gateway; safe to ask from any thread."""

    def __init__(self, database: Database, *, most_rows: int = MOST_ROWS) -> None:
        self._database = database
        self._most_rows = most_rows
        self._kept: OrderedDict[_Day, list[Usage]] = OrderedDict()
        self._rows = 0
        self._lock = threading.Lock()

    def usage(
        self, scope: Scope, days: range, by: Sequence[Dimension], principals: Collection[str] | None = None
    ) -> list[Usage]:
        """Sums over those days (numbers since the epoch, UTC), one per combination of `by`, in the order of their values.

        `principals` leaves only what these people and keys asked for.
        """
        found = self._of_days(scope, days)
        if principals is not None:
            found = [row for row in found if row.principal in principals]
        return joined(found, by)

    def _of_days(self, scope: Scope, days: range) -> list[Usage]:
        with self._database.read() as connection:
            counts = store.count_days(connection, scope, (days.start * DAY_NS, days.stop * DAY_NS))
            found = {day: self._known(scope, day, count) for day, count in counts.items()}
            missing = [day for day, rows in found.items() if rows is None]
            for run in runs(missing):
                found |= self._summed(connection, scope, run)
        return [row for day in sorted(found) for row in found[day] or ()]

    def _known(self, scope: Scope, day: int, count: int) -> list[Usage] | None:
        with self._lock:
            rows = self._kept.get((scope, day))
            if rows is None or sum(row.requests for row in rows) != count:
                return None
            self._kept.move_to_end((scope, day))
            return rows

    def _summed(self, connection: Connection, scope: Scope, run: range) -> dict[int, list[Usage]]:
        period_ns = (run.start * DAY_NS, run.stop * DAY_NS)
        made: dict[int, list[Usage]] = {day: [] for day in run}
        for row in store.sums(connection, scope.organisation_id, scope.workspace_id, period_ns, _FINEST):
            made[row.day or 0].append(row)
        with self._lock:
            for day, rows in made.items():
                self._keep((scope, day), rows)
        return made

    def _keep(self, day: _Day, rows: list[Usage]) -> None:
        self._rows += len(rows) - len(self._kept.pop(day, ()))
        self._kept[day] = rows
        while self._rows > self._most_rows and self._kept:
            _, dropped = self._kept.popitem(last=False)
            self._rows -= len(dropped)


def runs(days: Sequence[int]) -> list[range]:
    """Days that follow each other, together: each run is one question to the database."""
    found: list[range] = []
    for day in sorted(days):
        if found and found[-1].stop == day:
            found[-1] = range(found[-1].start, day + 1)
        else:
            found.append(range(day, day + 1))
    return found


def joined(rows: Sequence[Usage], by: Sequence[Dimension]) -> list[Usage]:
    """Rows of the finest grouping added up to the one asked for."""
    sums: dict[tuple[object, ...], dict[str, int]] = {}
    for row in rows:
        known = sums.setdefault(tuple(getattr(row, part) for part in by), dict.fromkeys(_COUNTED, 0))
        for name in _COUNTED:
            known[name] += getattr(row, name)
    order = sorted(sums, key=lambda group: [(value is not None, value) for value in group])
    return [msgspec.convert(_fields(by, group) | sums[group], Usage) for group in order]


def _fields(by: Sequence[Dimension], group: tuple[object, ...]) -> dict[str, object]:
    return {str(part): value for part, value in zip(by, group, strict=True)}
