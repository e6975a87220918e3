"""`tramontane serve`: the gateway, until it is told to stop."""

import click

from tramontane.entrypoints.cli.ports import Application
from tramontane.entrypoints.cli.progress import shown_progress


@click.command()
@click.pass_obj
def serve(application: Application) -> None:
    """Serve the API. The first start makes the database, fetches the embedded models and prints a first key."""
    with shown_progress() as report:
        application.serve(report, lambda line: click.echo(line, err=True))
