"""The SQL of receipts: they are added and summed, never changed. Every sum is bound to an organisation or a workspace."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Table,
    Text,
    case,
    func,
    literal_column,
    select,
)

from tramontane.foundation.store.insert import insert_many_new
from tramontane.foundation.store.scope import Scope
from tramontane.foundation.store.tables import metadata
from tramontane.records.ledger.nouns import SPEND_FIELDS, Dimension, Receipt, Usage

receipt = Table(
    "receipt",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("workspace_id", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("time_ns", BigInteger, nullable=False),
    Column("principal_id", Text, nullable=False),
    Column("key_id", Text),
    Column("model", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error_code", Text),
    *(Column(name, BigInteger, nullable=False) for name in SPEND_FIELDS),
    Index("ix_receipt_organisation_id_time_ns", "organisation_id", "time_ns"),
    Index("ix_receipt_organisation_id_workspace_id_time_ns", "organisation_id", "workspace_id", "time_ns"),
)
# The number stands in the text: as a parameter it would be another one in GROUP BY, which PostgreSQL refuses.
_DAY = receipt.c.time_ns.op("/")(literal_column("86400000000000"))
_COLUMNS: dict[str, ColumnElement[Any]] = {
    "workspace": receipt.c.workspace_id,
    "key": receipt.c.key_id,
    "model": receipt.c.model,
    "principal": receipt.c.principal_id,
    "day": _DAY,
}


def add(connection: Connection, receipts: Sequence[Receipt]) -> None:
    """Add those that are not there yet."""
    insert_many_new(connection, receipt, [msgspec.structs.asdict(row) for row in receipts])


def sums(
    connection: Connection,
    organisation_id: str,
    workspace_id: str | None,
    period_ns: tuple[int, int],
    by: Sequence[Dimension],
) -> list[Usage]:
    """Sums over receipts of `period_ns` (from, before), one per combination of the dimensions `by`."""
    groups = [_COLUMNS[dimension].label(dimension) for dimension in by]
    query = (
        select(*groups, func.count().label("requests"), *_outcomes(), *_spent())
        .where(receipt.c.organisation_id == organisation_id)
        .where(receipt.c.time_ns >= period_ns[0], receipt.c.time_ns < period_ns[1])
        .group_by(*groups)
        .order_by(*groups)
    )
    if workspace_id is not None:
        query = query.where(receipt.c.workspace_id == workspace_id)
    return [_usage(row._asdict()) for row in connection.execute(query) if row.requests]


def count_days(connection: Connection, scope: Scope, period_ns: tuple[int, int]) -> dict[int, int]:
    """How many receipts a workspace has of each day that has any, from an index alone."""
    query = (
        select(_DAY.label("day"), func.count().label("receipts"))
        .where(receipt.c.organisation_id == scope.organisation_id, receipt.c.workspace_id == scope.workspace_id)
        .where(receipt.c.time_ns >= period_ns[0], receipt.c.time_ns < period_ns[1])
        .group_by(_DAY)
    )
    return {row.day: row.receipts for row in connection.execute(query)}


def _outcomes() -> list[Any]:
    names = ("failed", "cancelled", "refused")
    return [func.sum(case((receipt.c.outcome == name, 1), else_=0)).label(name) for name in names]


def _spent() -> list[Any]:
    return [func.sum(receipt.c[name]).label(name) for name in SPEND_FIELDS]


def _usage(row: dict[str, Any]) -> Usage:
    fields = {name: value if name in _COLUMNS else int(value or 0) for name, value in row.items()}
    return msgspec.convert(fields, Usage)
