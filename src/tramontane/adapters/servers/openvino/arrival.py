"""The process that looks at weights which have just arrived and writes their prepared form. `preparing.py` runs it.

Weights come from strangers, so it is confined like an engine process and the libraries that read them stay out of the
gateway. It tells what it does in lines of JSON on standard output, the last of which is an `Outcome`.
"""

import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec
import setproctitle

from tramontane.adapters.servers.processes.isolation import confine
from tramontane.foundation.errors import TramontaneError


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. `stage` reports progress; the last line has `over` and says what came of it.

    `refusal` is why the embedded engine cannot run the weights; `error` and `code` name what went wrong.
    """

    stage: str = ""
    done: int = 0
    total: int = 0
    over: bool = False
    refusal: str | None = None
    distance_nats: float | None = None
    error: str | None = None
    code: str = ""


def main(verb: str, weights: Path, folder: Path) -> Outcome:
    """`examine` asks whether the engine can run the weights, `prepare` writes their prepared form into `folder`."""
    # Only now: the numeric libraries start threads, after which a process can no longer leave its network.
    part = importlib.import_module("tramontane.adapters.servers.openvino.prepare_model")
    if verb == "examine":
        return Outcome(over=True, refusal=part.refusal(weights))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".words-", dir=folder.parent) as words:
        distance = part.prepare_weights(weights, folder, Path(words), _tell)
        for file in Path(words).iterdir():
            shutil.copy2(file, folder / file.name)
    return Outcome(over=True, distance_nats=distance)


def _tell(stage: str, done: int, total: int) -> None:
    _say(Outcome(stage=stage, done=done, total=total))


def _say(outcome: Outcome) -> None:
    os.write(_lines, msgspec.json.encode(outcome) + b"\n")


if __name__ == "__main__":
    _lines = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints goes to the log, not between the lines
    setproctitle.setproctitle("tramontane: preparing a model")
    confine()
    try:
        _say(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
    except TramontaneError as problem:
        _say(Outcome(over=True, error=problem.message, code=type(problem).__name__))
    except MemoryError:
        _say(
            Outcome(
                over=True,
                error="not enough memory to prepare this model; see `tramontane models fit`",
                code="StorageFull",
            )
        )
