"""`tramontane config show`: every setting, its value, its variable; what may be secret is masked by its type."""

import click
from pydantic import BaseModel

from tramontane.entrypoints.cli.ports import Application
from tramontane.foundation.addresses import Address
from tramontane.foundation.settings import FILE_NAME


@click.group()
def config() -> None:
    """Look at the settings."""


@config.command()
@click.pass_obj
def show(application: Application) -> None:
    """Print every setting as it is in force, in the form of tramontane.toml, with the variable that overrides it."""
    settings = application.settings
    click.echo(f"# {settings.home / FILE_NAME} and TRAMONTANE_* variables; this is what is in force.\n")
    sections = {name: value for name, value in settings if isinstance(value, BaseModel)}
    for name, value in settings:
        if name not in sections:
            click.echo(f"{name} = {_shown(value):<40} # TRAMONTANE_{name.upper()}")
    for section, values in sections.items():
        click.echo(f"\n[{section}]")
        for name, value in values:
            click.echo(f"{name} = {_shown(value):<40} # TRAMONTANE_{section.upper()}__{name.upper()}")


def _shown(value: object) -> str:
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value.masked}"' if isinstance(value, Address) else f'"{value}"'
