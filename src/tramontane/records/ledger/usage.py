"""Sums of receipts for one workspace or a whole organisation. Blocking: asynchronous callers go through the lanes."""

from collections.abc import Sequence

from tramontane.foundation.errors import InvalidFields
from tramontane.foundation.nouns import Caller
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.ledger import store
from tramontane.records.ledger.nouns import MAX_TIME_NS, Dimension, Usage

DIMENSIONS: tuple[Dimension, ...] = ("workspace", "key", "model")


class OrganisationWide(str):
    """The id of an organisation whose every workspace is meant; only the operator and its administrators ask so."""


def usage(
    database: Database,
    whose: Caller | Scope | OrganisationWide,
    *,
    since_ns: int = 0,
    until_ns: int = MAX_TIME_NS,
    by: Sequence[Dimension] = DIMENSIONS,
) -> list[Usage]:
    """What was spent from `since_ns` to just before `until_ns`. Raises InvalidFields for an unknown dimension.

    A caller sees its own workspace. Receipts of the last moment may still be on their way, see `ReceiptBook`.
    """
    if set(by) - set(DIMENSIONS):
        raise InvalidFields.of("by", f"by takes some of {', '.join(DIMENSIONS)}")
    scope = Scope.of(whose) if isinstance(whose, Caller) else whose
    organisation_id = scope.organisation_id if isinstance(scope, Scope) else str(scope)
    workspace_id = scope.workspace_id if isinstance(scope, Scope) else None
    period_ns = (min(since_ns, MAX_TIME_NS), min(until_ns, MAX_TIME_NS))
    with database.read() as connection:
        return store.sums(connection, organisation_id, workspace_id, period_ns, list(dict.fromkeys(by)))
