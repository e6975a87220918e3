"""`tramontane key`: service keys of a workspace. `create` prints the secret alone on standard output, once and never again."""

import time
from contextlib import AbstractContextManager

import click

from tramontane.entrypoints.cli.ports import Application, Books
from tramontane.entrypoints.cli.tables import print_table, when
from tramontane.foundation.errors import NotFound
from tramontane.foundation.store.scope import Scope
from tramontane.records.access.nouns import NewKey

DAY_NS = 86_400 * 1_000_000_000
workspace_option = click.option(
    "--workspace", default=None, help="Name or id of the workspace; the default one otherwise."
)


@click.group()
def key() -> None:
    """Create, list and revoke keys; works while the server runs."""


@key.command()
@click.argument("name")
@workspace_option
@click.option("--create-workspace", is_flag=True, help="Make the workspace if there is none of that name.")
@click.option("--requests-per-minute", type=click.IntRange(min=1), help="Refuse more requests than this with 429.")
@click.option("--tokens-per-minute", type=click.IntRange(min=1), help="Refuse more tokens than this with 429.")
@click.option("--expires-days", type=click.IntRange(min=1), help="The key ends after so many days.")
@click.pass_obj
def create(application: Application, name: str, workspace: str | None, create_workspace: bool,
           requests_per_minute: int | None, tokens_per_minute: int | None, expires_days: int | None) -> None:  # fmt: skip
    """Make a key called NAME and print its secret, which is shown only now."""
    wanted = NewKey(
        name=name,
        rights=frozenset({"inference", "usage"}),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        expires_ns=time.time_ns() + expires_days * DAY_NS if expires_days else None,
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
                record.name, record.shown, "live" if record.live(now_ns) else "ended", when(record.created_ns),
                when(record.last_used_ns), when(record.expires_ns), record.requests_per_minute or "-",
                record.tokens_per_minute or "-",
            )
            for record in books.keys.list(_place(books, workspace))
        ]  # fmt: skip
    print_table(("name", "key", "state", "created", "last used", "expires", "req/min", "tok/min"), rows)


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
