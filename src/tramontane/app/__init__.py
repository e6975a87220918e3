"""The composition root: builds the adapters, hands them to the floors, opens the ways in. The only place that knows all."""

import logging
import signal
from types import FrameType

from tramontane.app.installation import Installation
from tramontane.entrypoints.cli import command_line

ENDING = (signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """The `tramontane` command."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` has it ignored
            signal.signal(number, _end)
    command_line(obj=Installation())


def _end(number: int, frame: FrameType | None) -> None:
    """End by unwinding, so that what we started ends with us and nothing half-written stays; a second signal cuts."""
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)
