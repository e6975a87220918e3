"""A prepared model with its paged key-value cache, run one step at a time.

Knows the compiled graph, the cache tensors and how to bind a step to them; knows nothing of requests, block
allocation or sampling. The batching loop is its only caller, from one thread at a time.
"""

from pathlib import Path
from typing import Self

from tramontane.adapters.servers.openvino.architecture import Architecture
from tramontane.adapters.servers.openvino.steps import StepInput, StepOutput

__all__ = ["PagedModel", "StepInput", "StepOutput"]


class PagedModel:
    """A model ready to step. Block ids run from 0 to `block_count - 1`; every block holds `block_tokens` tokens."""

    architecture: Architecture
    block_tokens: int
    block_count: int
    bytes_per_block: int

    @classmethod
    def load(cls, prepared_folder: Path, cache_bytes: int, threads: int | None = None) -> Self:
        """Compile the graph of a prepared folder beside a cache of at most `cache_bytes`.

        Raises ModelFileError for a damaged folder and CacheTooSmall when not one block fits.
        """
        raise NotImplementedError

    def start(self, step: StepInput) -> None:
        """Begin a step and return at once; the arrays of `step` have been read. Follow with `wait`."""
        raise NotImplementedError

    def wait(self) -> StepOutput:
        """Block, with the interpreter lock released, until the started step is done."""
        raise NotImplementedError

    def step(self, step: StepInput) -> StepOutput:
        """`start` and `wait` in one."""
        self.start(step)
        return self.wait()
