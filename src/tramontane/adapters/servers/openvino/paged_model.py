"""A prepared model with its paged key-value cache, run one step at a time.

Knows the compiled graph, the cache tensors and how to bind a step to them; knows nothing of requests, block
allocation or sampling. The batching loop is its only caller, from one thread at a time.
"""

import mmap
from pathlib import Path
from typing import Any, Self

import numpy as np
import openvino as ov

from tramontane.adapters.servers.openvino.architecture import Architecture
from tramontane.adapters.servers.openvino.errors import CacheTooSmall
from tramontane.adapters.servers.openvino.graph import BLOCK_TOKENS, OUTPUT_NAMES, build_graph
from tramontane.adapters.servers.openvino.prepared import WEIGHTS_FILE, read_manifest
from tramontane.adapters.servers.openvino.safetensors_file import SafetensorsFile
from tramontane.adapters.servers.openvino.steps import StepInput, StepOutput, check_step
from tramontane.adapters.servers.openvino.weights import PreparedNodes, WeightNodes
from tramontane.foundation.errors import EngineFailed

_ARRAY_INPUTS = (
    "tokens",
    "positions",
    "past_lens",
    "begins",
    "block_indices",
    "block_begins",
    "sampled",
    "inverse_temperature",
)


class PagedModel:
    """A model ready to step. Block ids run from 0 to `block_count - 1`; every block holds `block_tokens` tokens."""

    block_tokens = BLOCK_TOKENS

    def __init__(
        self, architecture: Architecture, weights: WeightNodes, cache_bytes: int, properties: dict[str, Any]
    ) -> None:
        self.architecture = architecture
        self._weights = weights
        compiled = ov.Core().compile_model(build_graph(architecture, weights), "CPU", properties)
        self._request = compiled.create_infer_request()
        self.bytes_per_block = sum(_block_bytes(port) for port in _cache_ports(compiled))
        self.block_count = cache_bytes // self.bytes_per_block
        if self.block_count < 1:
            raise CacheTooSmall(
                f"cache size {cache_bytes} bytes holds no block of {self.bytes_per_block} bytes; raise the cache size"
            )
        self._input_index = {port.any_name: index for index, port in enumerate(compiled.inputs)}
        self._pools = [_bind_pool(self._request, port, self.block_count) for port in _cache_ports(compiled)]
        self._step: StepInput | None = None
        self._unread_row = np.zeros(1, np.int64)  # a step that samples nothing still needs one row for the head
        self._unread_factor = np.ones(1, np.float32)
        self._max_context_len = np.zeros((), np.int32)
        self._request.set_tensor("max_context_len", ov.Tensor(self._max_context_len, shared_memory=True))

    @classmethod
    def load(cls, prepared_folder: Path, cache_bytes: int, threads: int | None = None) -> Self:
        """Compile the graph of a prepared folder beside a cache of at most `cache_bytes`.

        Raises ModelFileError for a damaged folder and CacheTooSmall when not one block fits.
        """
        manifest = read_manifest(prepared_folder)
        file = SafetensorsFile(prepared_folder / WEIGHTS_FILE)
        properties = plugin_properties(manifest.recipe.dynamic_group, threads)
        model = cls(manifest.architecture, PreparedNodes(file), cache_bytes, properties)
        model.step(_first_token())  # the plugin packs the weights when they are first multiplied with
        file.forget_pages()
        return model

    def start(self, step: StepInput) -> None:
        """Begin a step and return at once; its arrays must not change until `wait` returns. Raises StepRefused."""
        check_step(step, self.block_tokens, self.block_count, self.architecture.vocab_size)
        self._step = step
        arrays = [getattr(step, name) for name in _ARRAY_INPUTS]
        if not len(step.sampled):
            arrays[-2:] = [self._unread_row, self._unread_factor]
        self._max_context_len[...] = step.max_context_len
        for name, array in zip(_ARRAY_INPUTS, arrays, strict=True):
            self._request.set_input_tensor(self._input_index[name], ov.Tensor(array, shared_memory=True))
        self._request.start_async()

    def wait(self) -> StepOutput:
        """Block, with the interpreter lock released, until the started step is done.

        Raises EngineFailed when the step broke; the cache is then undefined and the model must be loaded again.
        """
        try:
            self._request.wait()
        except RuntimeError as error:
            raise EngineFailed(f"the step broke inside the engine: {error}") from error
        rows = len(self._step.sampled) if self._step else 0
        return StepOutput(*(self._request.get_output_tensor(i).data[:rows] for i in range(len(OUTPUT_NAMES))))

    def step(self, step: StepInput) -> StepOutput:
        """`start` and `wait` in one."""
        self.start(step)
        return self.wait()


def _first_token() -> StepInput:
    """A step of one token in block 0, sampled."""
    zero, one = np.zeros(1, np.int32), np.array([0, 1], np.int32)
    return StepInput(
        tokens=np.zeros(1, np.int64),
        positions=np.zeros(1, np.int64),
        past_lens=zero,
        begins=one,
        block_indices=zero,
        block_begins=one,
        max_context_len=1,
        sampled=np.zeros(1, np.int64),
        inverse_temperature=np.ones(1, np.float32),
    )


def plugin_properties(dynamic_group: int, threads: int | None) -> dict[str, Any]:
    """Plugin settings for this processor: bfloat16 arithmetic and cache where it has them, else float32 and float16."""
    bf16 = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    properties: dict[str, Any] = {
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # other processes need these cores too
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "KV_CACHE_PRECISION": "bf16" if bf16 else "f16",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": dynamic_group,
    }
    if threads is not None:
        properties["INFERENCE_NUM_THREADS"] = threads
    return properties


def exact_properties(threads: int | None) -> dict[str, Any]:
    """Plugin settings that round nothing: float32 arithmetic and cache, activations left alone."""
    exact = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    return {**plugin_properties(0, threads), **exact}


def _cache_ports(compiled: ov.CompiledModel) -> list[Any]:
    return [port for port in compiled.inputs if "_cache." in port.any_name]


def _block_shape(port: Any) -> list[int]:
    return [dimension.get_length() for dimension in list(port.partial_shape)[1:]]


def _block_bytes(port: Any) -> int:
    return int(np.prod(_block_shape(port))) * port.element_type.size


def _bind_pool(request: ov.InferRequest, port: Any, block_count: int) -> np.ndarray:
    """One layer's keys or values for all blocks, in memory that is touched only as blocks are used."""
    mapped = mmap.mmap(-1, block_count * _block_bytes(port), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        mapped.madvise(mmap.MADV_HUGEPAGE)
    pool = np.frombuffer(mapped, np.uint8)
    shape = ov.Shape([block_count, *_block_shape(port)])
    request.set_tensor(port.any_name, ov.Tensor(pool.view(_array_type(port)), shape, port.element_type))
    return pool


def _array_type(port: Any) -> np.dtype:
    return np.dtype(np.uint16) if port.element_type == ov.Type.bf16 else np.dtype(port.element_type.to_dtype())
