"""`tramontane workspace`: the workspaces of this installation and how much of a short machine each gets."""

import click

from tramontane.entrypoints.cli.ports import Application
from tramontane.entrypoints.cli.tables import print_table, when


@click.group()
def workspace() -> None:
    """List workspaces and weigh them against each other; works while the server runs."""


@workspace.command("list")
@click.pass_obj
def list_workspaces(application: Application) -> None:
    """Show every workspace with its weight."""
    with application.books(looking=True) as books:
        found = books.places.workspaces(books.scope.organisation_id)
    print_table(("name", "weight", "created"), [(one.name, one.weight, when(one.created_ns)) for one in found])


@workspace.command()
@click.argument("name_or_id")
@click.argument("weight", type=click.IntRange(1, 1000))
@click.pass_obj
def weight(application: Application, name_or_id: str, weight: int) -> None:
    """Give a workspace WEIGHT parts of the machine when it is short; 1 is usual. All its keys share them."""
    with application.books() as books:
        found = books.places.workspace(books.scope.organisation_id, name_or_id)
        books.places.set_weight(found.scope, weight)
    click.echo(f"{found.name} has weight {weight}", err=True)
