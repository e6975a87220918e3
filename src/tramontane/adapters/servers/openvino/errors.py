"""What can go wrong between a model's files and a running graph.

Each message names the file, field or family and says what to do about it.
"""

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
