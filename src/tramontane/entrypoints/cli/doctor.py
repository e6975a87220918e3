"""`tramontane doctor`: what `checks` found, as lines; ends with status 1 when something would stop the server."""

import sys

import click

from tramontane.entrypoints.cli.checks import examine
from tramontane.entrypoints.cli.ports import Application

MARKS = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "fail": ("FAIL", "red")}


@click.command()
@click.pass_obj
def doctor(application: Application) -> None:
    """Check this machine and say what to do."""
    failed = False
    for finding in examine(application.settings, application.machine()):
        failed = failed or finding.state == "fail"
        mark, colour = MARKS[finding.state]
        click.echo(f"{click.style(mark, fg=colour)}  {finding.subject:<12} {finding.found}")
        if finding.cure:
            click.echo(f"      {'':<12} {finding.cure}")
    sys.exit(1 if failed else 0)
