"""Has weights examined and prepared by a process of their own, and passes on its progress and its errors.

Called by the installer through the composition root, from a thread. An error raised by `report` (a stop, say) ends the
process. Knows nothing of weights itself, so that importing it costs nothing.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import msgspec

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.formats.json_file import read_object
from tramontane.adapters.servers.openvino.arrival import Outcome
from tramontane.adapters.servers.processes.child import bare_environment
from tramontane.foundation import errors
from tramontane.foundation.progress import ProgressReport, silent

MODULE = "tramontane.adapters.servers.openvino.arrival"
LOG_TAIL_BYTES = 1500


def refusal(weights: Path) -> str | None:
    """Why the embedded engine cannot run this GGUF file or folder, or None when it can."""
    return _run("examine", weights, weights, silent).refusal


def prepare_weights(weights: Path, folder: Path, report: ProgressReport) -> float | None:
    """Write the prepared form into `folder`; nats a token from the source, None when not measured.

    A sentence encoder is run as it came and nothing is written. Raises the errors of the tree that the process names.
    """
    if is_encoder(weights):
        return None
    return _run("prepare", weights, folder, report).distance_nats


def is_encoder(weights: Path) -> bool:
    """Whether this is a Hugging Face folder whose config names a BERT encoder."""
    try:
        return read_object(weights / "config.json").get("model_type") == "bert"
    except FileRefused:
        return False


def _run(verb: str, weights: Path, folder: Path, report: ProgressReport) -> Outcome:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, verb, str(weights.absolute()), str(folder.absolute())],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=bare_environment({}),
        )  # fmt: skip
        try:
            outcome = _follow(process, report)
        finally:
            process.kill()
            process.wait()
        if outcome is None:
            raise errors.EngineFailed(f"preparing {weights.name} broke off: {_tail(log)}")
    if outcome.error is not None:
        raise _error(outcome)
    return outcome


def _follow(process: subprocess.Popen[bytes], report: ProgressReport) -> Outcome | None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            outcome = msgspec.json.decode(line, type=Outcome)
            if outcome.over:
                return outcome
            report(outcome.stage, outcome.done, outcome.total)
    return None


def _error(outcome: Outcome) -> errors.TramontaneError:
    message = outcome.error or "the weights cannot be prepared"
    for kind in (errors.StorageFull, errors.Misconfigured, errors.EngineFailed):
        if outcome.code == kind.__name__:
            return kind(message)
    return errors.BadRequest(message)


def _tail(log: IO[bytes]) -> str:
    log.seek(max(0, log.seek(0, 2) - LOG_TAIL_BYTES))
    return log.read().decode("utf-8", "replace").strip() or "the process was killed, perhaps for want of memory"
