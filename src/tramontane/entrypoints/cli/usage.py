"""`tramontane usage`: what was spent, summed from the receipts."""

import re
import time
from collections.abc import Mapping, Sequence

import click

from tramontane.entrypoints.cli.ports import Application
from tramontane.entrypoints.cli.tables import print_table
from tramontane.foundation.errors import InvalidFields
from tramontane.records.ledger import OrganisationWide, Usage
from tramontane.records.ledger import usage as summed

UNITS_NS = {"m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}


@click.command()
@click.option("--since", default="30d", show_default=True, help="How far back: 90m, 24h, 30d, or `all`.")
@click.option("--by", "groups", multiple=True, type=click.Choice(["workspace", "key", "model"]),
              help="Sum by this; may be given several times. All three otherwise.")  # fmt: skip
@click.pass_obj
def usage(application: Application, since: str, groups: tuple[str, ...]) -> None:
    """Sum requests and tokens by workspace, key and model."""
    since_ns = 0 if since == "all" else time.time_ns() - _span_ns(since)
    by = groups or ("workspace", "key", "model")
    with application.books(looking=True) as books:
        whose = OrganisationWide(books.scope.organisation_id)
        rows = summed(books.database, whose, since_ns=since_ns, by=by)  # type: ignore[arg-type]
        workspaces = books.places.workspaces(books.scope.organisation_id)
        names = {workspace.workspace_id: workspace.name for workspace in workspaces}
        names |= {key.key_id: key.name for workspace in workspaces for key in books.keys.list(workspace.scope)}
    head = (*by, "requests", "failed", "cancelled", "refused", "prompt", "cached", "computed", "generated", "compute s")
    print_table(head, [(*_group(row, by, names), *_counts(row)) for row in rows])


def _group(row: Usage, by: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    ids = [getattr(row, dimension) or "-" for dimension in by]
    return tuple(names.get(one, one) for one in ids)


def _counts(row: Usage) -> tuple[object, ...]:
    compute_s = (row.prefill_ns + row.decode_ns) / 1e9
    requests = (row.requests, row.failed, row.cancelled, row.refused)
    return (
        *requests,
        row.prompt_tokens,
        row.cached_tokens,
        row.computed_tokens,
        row.generated_tokens,
        f"{compute_s:.1f}",
    )


def _span_ns(text: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if found is None:
        raise InvalidFields.of("since", f"--since {text!r} is no span; write 90m, 24h, 30d or all")
    return int(found[1]) * UNITS_NS[found[2]]
