"""How far rounded weights are from the exact ones, in nats a token over held text.

Knows how to read the likelihood of a text off a paged model; knows nothing of how weights were rounded. `prepare`
calls it to choose a recipe and to report what the rounding costs.
"""

from collections.abc import Sequence
from importlib import resources

import numpy as np
import psutil

from tramontane.adapters.servers.openvino.paged_model import PagedModel, exact_properties
from tramontane.adapters.servers.openvino.prepared import matrix_names
from tramontane.adapters.servers.openvino.steps import StepInput
from tramontane.adapters.servers.openvino.tensor_source import TensorSource
from tramontane.adapters.servers.openvino.weights import ExactNodes, source_names
from tramontane.foundation.sizes import size_text

_CHUNK_TOKENS = 64
_COPIES_OF_EXACT_WEIGHTS = 3  # the constants, the plugin's packed copy and its workspace


def held_text() -> str:
    """Prose in two languages and a little code, written for this purpose."""
    return resources.files(__package__).joinpath("held_text.txt").read_text("utf-8")


def nats_per_token(model: PagedModel, tokens: Sequence[int]) -> float:
    """Mean negative log-likelihood of each token after the first, given those before it."""
    ids = np.asarray(tokens, np.int64)
    blocks = -(-len(ids) // model.block_tokens)
    total = 0.0
    for begin in range(0, len(ids) - 1, _CHUNK_TOKENS):
        end = min(begin + _CHUNK_TOKENS, len(ids) - 1)
        output = model.step(_chunk(ids, begin, end, np.arange(blocks, dtype=np.int32)))
        rows = np.arange(end - begin)
        total += float((output.lse - output.logits[rows, ids[begin + 1 : end + 1]]).sum(dtype=np.float64))
    return total / (len(ids) - 1)


def cache_bytes_for(model_tokens: int, source: TensorSource) -> int:
    """Enough cache for one sequence of that many tokens at four bytes an element, with blocks to spare."""
    architecture = source.architecture
    token_bytes = 2 * 4 * architecture.layers * architecture.kv_heads * (architecture.head_dim + 8)
    return (model_tokens + 2 * PagedModel.block_tokens) * token_bytes


def exact_nats(source: TensorSource, tokens: Sequence[int]) -> tuple[float | None, str]:
    """The text under the exact float32 weights, or None and the reason when they do not fit in memory."""
    names = [part for name in matrix_names(source.architecture) for part in source_names(f"{name}.weight")]
    weight_bytes = 4 * sum(int(np.prod(source.shape(name))) for name in names)
    needed, available = _COPIES_OF_EXACT_WEIGHTS * weight_bytes, psutil.virtual_memory().available
    if needed > available:
        return None, f"the exact weights need {size_text(needed)}, {size_text(available)} are available"
    cache_bytes = cache_bytes_for(len(tokens), source)
    model = PagedModel(source.architecture, ExactNodes(source), cache_bytes, exact_properties(None))
    return nats_per_token(model, tokens), ""


def _chunk(ids: np.ndarray, begin: int, end: int, blocks: np.ndarray) -> StepInput:
    table = blocks[: -(-end // PagedModel.block_tokens)]
    return StepInput(
        tokens=np.ascontiguousarray(ids[begin:end]),
        positions=np.arange(begin, end, dtype=np.int64),
        past_lens=np.array([begin], np.int32),
        begins=np.array([0, end - begin], np.int32),
        block_indices=table,
        block_begins=np.array([0, len(table)], np.int32),
        max_context_len=end,
        sampled=np.arange(end - begin, dtype=np.int64),
        inverse_temperature=np.ones(end - begin, np.float32),
    )
