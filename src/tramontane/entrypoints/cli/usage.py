"""`tramontane usage`: what was spent, summed from the receipts."""

import re
import time

import click

from tramontane.entrypoints.cli.ports import Application
from tramontane.entrypoints.cli.tables import print_table
from tramontane.foundation.errors import InvalidFields

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
    with application.books() as books:
        rows = books.usage.everywhere(since_ns=since_ns, until_ns=time.time_ns(), by=by)
    head = (*by, "requests", "failed", "cancelled", "prompt", "cached", "computed", "generated", "compute s")
    print_table(
        head,
        [
            (
                *(row.group[name] for name in by), row.requests, row.failed, row.cancelled, row.prompt_tokens,
                row.cached_tokens, row.computed_tokens, row.generated_tokens,
                f"{(row.prefill_ns + row.decode_ns) / 1e9:.1f}",
            )
            for row in rows
        ],
    )  # fmt: skip


def _span_ns(text: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if found is None:
        raise InvalidFields.of("since", f"--since {text!r} is no span; write 90m, 24h, 30d or all")
    return int(found[1]) * UNITS_NS[found[2]]
