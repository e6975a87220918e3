"""The operator's and developer's commands. Each file is one command or one group of them; `ports.py` says what they need."""

from tramontane.entrypoints.cli.commands import command_line
from tramontane.entrypoints.cli.ports import Application, Books

__all__ = ["Application", "Books", "command_line"]
