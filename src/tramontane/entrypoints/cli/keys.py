"""`tramontane key`: service keys of a workspace. `create` prints the secret alone on standard output, once and never again."""

import datetime
import re
import time
from contextlib import AbstractContextManager

import click

from tramontane.entrypoints.cli.ports import Application, Books
from tramontane.entrypoints.cli.tables import print_table, when
from tramontane.foundation.errors import NotFound
from tramontane.foundation.store.scope import Scope
from tramontane.records.access.nouns import KeyRecord, NewKey

DAY_NS = 86_400 * 1_000_000_000
MOST_DAYS = 36_500


class End(click.ParamType[int | None]):
    """When a key ends, as nanoseconds since the epoch: `never`, days from now, or a date, which is its last day."""

    name = "DAYS|DATE|never"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> int | None:
        written = str(value).strip()
        if written == "never":
            return None
        days = re.fullmatch(r"([1-9][0-9]{0,4})d?", written, re.ASCII)
        if days is not None and int(days[1]) <= MOST_DAYS:
            return time.time_ns() + int(days[1]) * DAY_NS
        try:
            last = datetime.datetime.combine(datetime.date.fromisoformat(written), datetime.time(23, 59, 59))
        except ValueError:
            cure = f"takes days from now (90), a date (2027-12-31, its last day) or never; {written[:40]!r} is neither"
            self.fail(cure, param, context)
        return int(last.replace(tzinfo=datetime.UTC).timestamp()) * 1_000_000_000


workspace_option = click.option(
    "--workspace", default=None, help="Name or id of the workspace; the default one otherwise."
)


@click.group()
def key() -> None:
    """Create, list, prolong and revoke keys; works while the server runs."""


@key.command()
@click.argument("name")
@workspace_option
@click.option("--create-workspace", is_flag=True, help="Make the workspace if there is none of that name.")
@click.option("--requests-per-minute", type=click.IntRange(min=1), help="Refuse more requests than this with 429.")
@click.option("--tokens-per-minute", type=click.IntRange(min=1), help="Refuse more tokens than this with 429.")
@click.option("--expires", type=End(), help="When the key ends: days from now (90) or its last day (2027-12-31).")
@click.option("--model", "models", multiple=True, help="Limit the key to this model; may be given several times.")
@click.pass_obj
def create(application: Application, name: str, workspace: str | None, create_workspace: bool,
           requests_per_minute: int | None, tokens_per_minute: int | None, expires: int | None,
           models: tuple[str, ...]) -> None:  # fmt: skip
    """Make a key called NAME and print its secret, which is shown only now."""
    wanted = NewKey(
        name=name,
        rights=frozenset({"inference", "usage"}),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        expires_ns=expires,
        models=frozenset(models) or None,
    )
    with _books(application) as books:
        _, secret = books.keys.create(_place(books, workspace, create_workspace), wanted)
    click.echo(secret)


@key.command("list")
@workspace_option
@click.pass_obj
def list_keys(application: Application, workspace: str | None) -> None:
    """Show every key of a workspace, never its secret."""
    now_ns = time.time_ns()
    with application.books(looking=True) as books:
        rows = [
            (
                record.name, record.shown, _state(record, now_ns), when(record.created_ns),
                when(record.last_used_ns), when(record.expires_ns), record.requests_per_minute or "-",
                record.tokens_per_minute or "-", "all" if record.models is None else ",".join(sorted(record.models)),
            )
            for record in books.keys.list(_place(books, workspace))
        ]  # fmt: skip
    print_table(("name", "key", "state", "created", "last used", "expires", "req/min", "tok/min", "models"), rows)


def _state(record: KeyRecord, now_ns: int) -> str:
    if record.revoked_ns is not None:
        return "revoked"
    return "live" if record.live(now_ns) else "expired"


@key.command()
@click.argument("name_or_id")
@click.argument("end", type=End())
@workspace_option
@click.pass_obj
def expire(application: Application, name_or_id: str, end: int | None, workspace: str | None) -> None:
    """Change when a key ends: days from now (90), its last day (2027-12-31) or never. What has ended stays so."""
    with _books(application) as books:
        scope = _place(books, workspace)
        record = books.keys.expire(scope, books.keys.find(scope, name_or_id).key_id, end)
    click.echo(f"{record.name} ({record.shown}) ends: {'never' if end is None else when(end)}", err=True)


@key.command()
@click.argument("name_or_id")
@workspace_option
@click.pass_obj
def revoke(application: Application, name_or_id: str, workspace: str | None) -> None:
    """End a key for ever; a running server notices within two seconds."""
    with _books(application) as books:
        scope = _place(books, workspace)
        record = books.keys.revoke(scope, books.keys.find(scope, name_or_id).key_id)
    click.echo(f"revoked {record.name} ({record.shown})", err=True)


def _books(application: Application) -> AbstractContextManager[Books]:
    return application.books()


def _place(books: Books, name: str | None, create: bool = False) -> Scope:
    if name is None:
        return books.scope
    try:
        return books.places.workspace(books.scope.organisation_id, name).scope
    except NotFound:
        if not create:
            raise
        return books.places.create_workspace(books.scope.organisation_id, name).scope
