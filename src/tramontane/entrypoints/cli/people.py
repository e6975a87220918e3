"""`tramontane people`: who may sign in with a browser, and one-time links for those who are to. Links go to standard output."""

import click

from tramontane.entrypoints.cli.ports import Application, Books
from tramontane.entrypoints.cli.tables import print_table, when
from tramontane.foundation.errors import NotFound
from tramontane.foundation.store.scope import Scope
from tramontane.records.access.invitations import NewLink
from tramontane.records.access.nouns import ROLES, Role

workspace_option = click.option(
    "--workspace", default=None, help="Name or id of the workspace; the default one otherwise."
)


@click.group()
def people() -> None:
    """List and invite people, and help those who lost their password; works while the server runs."""


@people.command("list")
@workspace_option
@click.pass_obj
def list_people(application: Application, workspace: str | None) -> None:
    """Show everybody in a workspace, and the invitations that are still open."""
    with application.books() as books:
        scope = _place(books, workspace)
        seats = books.people.seats(scope)
        pending = books.invitations.pending(scope)
    print_table(
        ("name", "e-mail", "role", "joined", "last seen"),
        [
            (seat.person.name, seat.person.email or "-", seat.role, when(seat.joined_ns), when(seat.seen_ns))
            for seat in seats
        ],
    )
    if pending:
        click.echo()
        rows = [(one.email or "anybody", one.role, when(one.created_ns), when(one.expires_ns)) for one in pending]
        print_table(("invited", "role", "since", "until"), rows)


@people.command()
@click.option("--email", default=None, help="Only for this address; otherwise for whoever holds the link.")
@click.option("--role", type=click.Choice(ROLES), default="member", help="What they may do; member is usual.")
@workspace_option
@click.pass_obj
def invite(application: Application, email: str | None, role: Role, workspace: str | None) -> None:
    """Make a link into a workspace and print it; it works once, for seven days."""
    with application.books() as books:
        made = books.invitations.invite(_place(books, workspace), role, email=email)
    _print_link(application, made)


@people.command()
@click.argument("email")
@click.pass_obj
def reset(application: Application, email: str) -> None:
    """Make a link with which the person of that address chooses a new password, and print it."""
    with application.books() as books:
        person = books.people.with_email(books.scope.organisation_id, email)
        places = books.people.places(person)
        if not places:
            raise NotFound(f"{person.email} is in no workspace any more; invite them with `tramontane people invite`")
        made = books.invitations.reset(places[0][0].scope, person.person_id)
    _print_link(application, made)


def _print_link(application: Application, made: NewLink) -> None:
    click.echo(application.settings.browser_address() + made.path)
    click.echo(f"Works once, until {when(made.invitation.expires_ns)}. Whoever has it gets in.", err=True)


def _place(books: Books, name: str | None) -> Scope:
    return books.scope if name is None else books.places.workspace(books.scope.organisation_id, name).scope
