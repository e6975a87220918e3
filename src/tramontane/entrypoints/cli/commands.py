"""The list of commands, and what all of them share: errors become one line on standard error and a status."""

import sys
from typing import Any

import click

from tramontane import __version__
from tramontane.entrypoints.cli.archive import backup, restore
from tramontane.entrypoints.cli.config import config
from tramontane.entrypoints.cli.doctor import doctor
from tramontane.entrypoints.cli.keys import key
from tramontane.entrypoints.cli.models import models
from tramontane.entrypoints.cli.people import people
from tramontane.entrypoints.cli.serve import serve
from tramontane.entrypoints.cli.talk import chat, complete
from tramontane.entrypoints.cli.usage import usage
from tramontane.entrypoints.cli.workspaces import workspace
from tramontane.foundation.errors import TramontaneError

STATUS_ERROR = 1
STATUS_INTERRUPTED = 130


class _OneLineErrors(click.Group):
    """Turns the foundation's errors into the one line a person can act on; anything else keeps its traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except TramontaneError as error:
            click.echo(f"tramontane: {error.message}", err=True)
            sys.exit(STATUS_ERROR)
        except (KeyboardInterrupt, click.Abort):
            click.echo("tramontane: stopped", err=True)
            sys.exit(STATUS_INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(STATUS_ERROR)


@click.group(cls=_OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tramontane")
def command_line() -> None:
    """Open-weight models on your own hardware: served, shared and accounted for."""


for command in (serve, chat, complete, models, key, people, workspace, usage, backup, restore, config, doctor):
    command_line.add_command(command)
