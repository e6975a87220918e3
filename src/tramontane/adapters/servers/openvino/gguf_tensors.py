"""A GGUF file as a source of float32 tensors.

Knows how such files name, fuse, permute and quantise the tensors of the supported families; knows neither the graph
nor the prepared format. Rows are dequantised as they are asked for, so no whole model is ever in memory.
"""

from pathlib import Path

import numpy as np

from tramontane.adapters.servers.openvino.gguf_architecture import from_gguf
from tramontane.adapters.servers.openvino.gguf_file import GgufFile
from tramontane.adapters.servers.openvino.tensor_source import FileNames, Place, layer_and_part

_NAMES = FileNames(
    "blk.0.",
    {
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
    },
    {"qkv": "attn_qkv", "gate_up": "ffn_up"},
)


class GgufSource:
    """A GGUF file. Raises ModelFileError when it is damaged and UnsupportedArchitecture when it has no graph."""

    def __init__(self, path: Path) -> None:
        self._file = GgufFile(path)
        self.architecture = from_gguf(self._file)

    def shape(self, name: str) -> tuple[int, ...]:
        place = self._place(name)
        return (place.count, *self._file.shape(place.name)[1:])

    def rows(self, name: str, begin: int, end: int) -> np.ndarray:
        place = self._place(name)
        order = self._row_order(name, place.count)
        rows = self._file.raw_rows(place.name)[place.first : place.first + place.count]
        return self._file.widen(place.name, rows[begin:end] if order is None else rows[order[begin:end]])

    def _row_order(self, name: str, rows: int) -> np.ndarray | None:
        """The files of the llama family hold q and k with rotating pairs side by side; the order that parts them."""
        if self.architecture.family != "llama" or layer_and_part(name)[1] not in ("q", "k"):
            return None
        head_dim = self.architecture.head_dim
        pairs = np.arange(rows).reshape(rows // head_dim, head_dim // 2, 2)
        return pairs.swapaxes(1, 2).reshape(-1)

    def _place(self, name: str) -> Place:
        return _NAMES.place(name, self.architecture, lambda full: self._file.shape(full)[0])
