"""The composition root: builds the adapters, hands them to the floors, opens the ways in. The only place that knows all."""

import logging

from tramontane.app.installation import Installation
from tramontane.entrypoints.cli import command_line


def main() -> None:
    """The `tramontane` command."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    command_line(obj=Installation())
