"""Shows how far long work is: a bar on a terminal, one line a stage elsewhere. Fulfils `ProgressReport`."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tramontane.foundation.progress import ProgressReport


class _Bars:
    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        is_new = stage not in self._tasks
        if not self._console.is_terminal:
            if is_new:
                self._tasks[stage] = TaskID(len(self._tasks))
                self._console.print(f"{stage} ...")
            return
        if is_new:
            self._tasks[stage] = self._progress.add_task(stage, total=total or None)
        self._progress.update(self._tasks[stage], completed=done, total=total or None)


@contextmanager
def shown_progress() -> Iterator[ProgressReport]:
    """A report that draws on standard error, so that standard output stays clean for results."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, transient=False, disable=not console.is_terminal) as progress:
        yield _Bars(progress, console)
