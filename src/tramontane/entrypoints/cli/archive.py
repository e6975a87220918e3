"""`tramontane backup` and `tramontane restore`: the whole store as one checked archive, also while the server runs."""

from pathlib import Path

import click

from tramontane.entrypoints.cli.ports import Application
from tramontane.entrypoints.cli.progress import shown_progress


@click.command()
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def backup(application: Application, target: Path) -> None:
    """Write the database and the blobs to the archive TARGET. Weights stay out: they can be pulled again."""
    with shown_progress() as report:
        summary = application.backup(target, report)
    click.echo(summary, err=True)


@click.command()
@click.argument("archive", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--replace", is_flag=True, help="Overwrite what the data folder or database holds now.")
@click.pass_obj
def restore(application: Application, archive: Path, replace: bool) -> None:
    """Check ARCHIVE and bring it back, into SQLite or PostgreSQL as the settings say.

    A server may run: it lets its open requests end, asks callers to come back while the data is replaced, and goes on.
    """
    with shown_progress() as report:
        summary = application.restore(archive, replace, report)
    click.echo(summary, err=True)
