"""How lists and times look on a terminal: plain columns that survive a pipe."""

import datetime
from collections.abc import Sequence

import click


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their widest cell; the head alone when there is nothing."""
    cells = [tuple(str(cell) for cell in row) for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def when(moment_ns: int | None) -> str:
    """Local date and minute of nanoseconds since the epoch; `-` for never."""
    if moment_ns is None:
        return "-"
    return datetime.datetime.fromtimestamp(moment_ns / 1e9).astimezone().strftime("%Y-%m-%d %H:%M")
