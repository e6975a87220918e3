"""What can go wrong between a model's files and a running graph.

Each message names the file, field or family and says what to do about it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tramontane.adapters.formats.errors import FileRefused
from tramontane.foundation.errors import Misconfigured, TramontaneError


class ModelFileError(TramontaneError):
    """A model file is truncated, malformed or lacks a tensor: fetch it again or point at the right one."""

    code = "model_file_damaged"


class UnsupportedArchitecture(TramontaneError):
    """The model's family or one of its features has no graph here: serve it with the engine `llamacpp`."""

    code = "architecture_unsupported"


class CacheTooSmall(Misconfigured):
    """The cache memory does not hold one block: raise the engine's cache size."""


class StepRefused(TramontaneError):
    """A step's arrays contradict each other or name blocks, rows or tokens that do not exist: a fault of the caller."""

    code = "step_refused"


@contextmanager
def refused_as_damaged() -> Iterator[None]:
    """What the formats refuse is here a damaged file of an installed model, which no caller of the engine can mend."""
    try:
        yield
    except FileRefused as error:
        raise ModelFileError(error.message) from error
    except OSError as error:
        raise ModelFileError(f"{error.filename}: {error.strerror}; fetch the file again") from error
