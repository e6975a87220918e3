"""What can go wrong between a model's files and a running graph.

Each message names the file, field or family and says what to do about it.
"""


class ModelFileError(Exception):
    """A model file is truncated, malformed or lacks a tensor: fetch it again or point at the right one."""


class UnsupportedArchitecture(Exception):
    """The model's family or one of its features has no graph here: serve it with the engine `llamacpp`."""


class CacheTooSmall(Exception):
    """The cache memory does not hold one block: raise the engine's cache size."""
