"""A GGUF file as a source of float32 tensors.

Knows how such files name, fuse, permute and quantise the tensors of the supported families; knows neither the graph
nor the prepared format. Rows are dequantised as they are asked for, so no whole model is ever in memory.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from gguf import GGUFReader, ReaderTensor, dequantize

from tramontane.adapters.servers.openvino.errors import ModelFileError
from tramontane.adapters.servers.openvino.gguf_architecture import from_gguf
from tramontane.adapters.servers.openvino.tensor_source import Place, fused_rows, layer_and_part

_GGUF_NAMES = {
    "embed": "token_embd",
    "final_norm": "output_norm",
    "head": "output",
    "attn_norm": "attn_norm",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "q_norm": "attn_q_norm",
    "k_norm": "attn_k_norm",
    "mlp_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}
_GGUF_FUSED = {"qkv": "attn_qkv", "gate_up": "ffn_up"}


class GgufSource:
    """A GGUF file whose structure the caller has validated."""

    def __init__(self, path: Path) -> None:
        try:
            reader = GGUFReader(path)
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise ModelFileError(f"{path}: not a readable GGUF file ({error}); fetch the file again") from error
        self.architecture = from_gguf(reader)
        self.files: tuple[Path, ...] = (path,)
        self._path = path
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}

    def shape(self, name: str) -> tuple[int, ...]:
        place = self._place(name)
        return (place.count, *(int(size) for size in reversed(self._tensor(place.name).shape[:-1])))

    def rows(self, name: str, begin: int, end: int) -> np.ndarray:
        place = self._place(name)
        order = self._row_order(name, place.count)
        tensor = self._tensor(place.name)
        if order is None:
            return _dequantized(tensor.data[place.first + begin : place.first + end], tensor.tensor_type)
        return _dequantized(tensor.data[place.first : place.first + place.count][order[begin:end]], tensor.tensor_type)

    def _row_order(self, name: str, rows: int) -> np.ndarray | None:
        """The files of the llama family hold q and k with rotating pairs side by side; the order that parts them."""
        if self.architecture.family != "llama" or layer_and_part(name)[1] not in ("q", "k"):
            return None
        head_dim = self.architecture.head_dim
        pairs = np.arange(rows).reshape(rows // head_dim, head_dim // 2, 2)
        return pairs.swapaxes(1, 2).reshape(-1)

    def _tensor(self, name: str) -> ReaderTensor:
        try:
            return self._tensors[name]
        except KeyError:
            raise ModelFileError(f"{self._path}: tensor {name!r} is missing; fetch the file again") from None

    def _place(self, name: str) -> Place:
        layer, part, kind = layer_and_part(name)
        prefix = f"blk.{layer}." if layer else ""
        fused = fused_rows(self.architecture, part)
        if fused:
            return Place(f"{prefix}{_GGUF_FUSED[fused[0]]}.{kind}", fused[1], fused[2])
        full = f"{prefix}{_GGUF_NAMES[part]}.{kind}"
        return Place(full, 0, int(self._tensor(full).shape[-1]))


_dequantize: Callable[..., np.ndarray] = dequantize


def _dequantized(data: np.ndarray, kind: object) -> np.ndarray:
    try:
        return np.ascontiguousarray(_dequantize(data, kind), dtype=np.float32)
    except NotImplementedError as error:
        raise ModelFileError(f"GGUF: no reader for {kind}; fetch a Q4, Q5, Q6, Q8, F16 or BF16 file") from error
