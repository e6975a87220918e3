"""How long work tells how far it is. Everything longer than two seconds takes a report and calls it; who shows it decides how."""

from typing import Protocol


class ProgressReport(Protocol):
    """Told a stage and how far it is (total 0 when unknown). What it raises ends the work: that is how one is stopped."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def silent(stage: str, done: int, total: int) -> None:
    """Reports to nobody."""
