"""Reading a model's weights as float32, row ranges at a time, under one set of names.

Knows how GGUF and Hugging Face files name, fuse, permute and quantise the tensors of the supported families; knows
neither the graph nor the prepared format. `prepare` reads through it, so no whole model is ever in memory.

Names: `embed`, `final_norm`, `head`, and per layer `layers.N.` with `attn_norm q k v o q_norm k_norm mlp_norm gate up
down`, each with `.weight` and, where the model has them, `.bias`. Matrices are [out, in]; the rows of q and k are in
the order in which the two halves of a head rotate against each other.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from gguf import GGUFReader, ReaderTensor, dequantize

from tramontane.adapters.servers.openvino.architecture import Architecture, from_config, from_gguf
from tramontane.adapters.servers.openvino.errors import ModelFileError
from tramontane.adapters.servers.openvino.safetensors_file import SafetensorsFile

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
_HF_NAMES = {
    "embed": "model.embed_tokens",
    "final_norm": "model.norm",
    "head": "lm_head",
    "attn_norm": "input_layernorm",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "q_norm": "self_attn.q_norm",
    "k_norm": "self_attn.k_norm",
    "mlp_norm": "post_attention_layernorm",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
_GGUF_FUSED = {"qkv": "attn_qkv", "gate_up": "ffn_up"}
_HF_FUSED = {"qkv": "self_attn.qkv_proj", "gate_up": "mlp.gate_up_proj"}


class TensorSource(Protocol):
    """A model's weights, readable tensor by tensor."""

    architecture: Architecture
    files: tuple[Path, ...]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor. Raises ModelFileError when the model lacks it."""

    def rows(self, name: str, begin: int, end: int) -> np.ndarray:
        """Rows [begin, end) as float32. Raises ModelFileError when the model lacks the tensor."""


def open_source(path: Path) -> TensorSource:
    """A `.gguf` file, or a folder with `config.json` and safetensors."""
    if path.is_dir():
        return SafetensorsSource(path)
    if path.suffix == ".gguf":
        return GgufSource(path)
    raise ModelFileError(f"{path}: expected a .gguf file or a folder with config.json and safetensors")


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies: rows [first, first + count) of a tensor of the file."""

    name: str
    first: int
    count: int


def _layer_and_part(name: str) -> tuple[str, str, str]:
    """Split `layers.3.q.weight` into ("3", "q", "weight") and `embed.weight` into ("", "embed", "weight")."""
    pieces = name.split(".")
    return (pieces[1], pieces[2], pieces[3]) if pieces[0] == "layers" else ("", pieces[0], pieces[1])


def _fused_rows(architecture: Architecture, part: str) -> tuple[str, int, int] | None:
    """Fused tensor, first row and row count of a part, for the families that fuse."""
    if architecture.family != "phi3":
        return None
    query, key = architecture.heads * architecture.head_dim, architecture.kv_heads * architecture.head_dim
    inner = architecture.intermediate
    return {
        "q": ("qkv", 0, query),
        "k": ("qkv", query, key),
        "v": ("qkv", query + key, key),
        "gate": ("gate_up", 0, inner),
        "up": ("gate_up", inner, inner),
    }.get(part)


class SafetensorsSource:
    """A Hugging Face folder: `config.json` with one `model.safetensors` or an index of shards."""

    def __init__(self, folder: Path) -> None:
        self.architecture = from_config(folder)
        self._files = _open_shards(folder)
        self.files = tuple(sorted({file.path for file in self._files.values()}))
        if "lm_head.weight" not in self._files and not self.architecture.tied_head:
            raise ModelFileError(f"{folder}: tensor 'lm_head.weight' is missing; fetch the files again")

    def shape(self, name: str) -> tuple[int, ...]:
        place = self._place(name)
        return (place.count, *self._file(place.name).shape(place.name)[1:])

    def rows(self, name: str, begin: int, end: int) -> np.ndarray:
        place = self._place(name)
        return self._file(place.name).rows_f32(place.name, place.first + begin, place.first + end)

    def _file(self, name: str) -> SafetensorsFile:
        try:
            return self._files[name]
        except KeyError:
            raise ModelFileError(f"safetensors: tensor {name!r} is missing; fetch the files again") from None

    def _place(self, name: str) -> _Place:
        layer, part, kind = _layer_and_part(name)
        prefix = f"model.layers.{layer}." if layer else ""
        fused = _fused_rows(self.architecture, part)
        if fused:
            return _Place(f"{prefix}{_HF_FUSED[fused[0]]}.{kind}", fused[1], fused[2])
        full = f"{prefix}{_HF_NAMES[part]}.{kind}"
        return _Place(full, 0, self._file(full).shape(full)[0])


def _open_shards(folder: Path) -> dict[str, SafetensorsFile]:
    index_path = folder / "model.safetensors.index.json"
    if not index_path.exists():
        single = SafetensorsFile(folder / "model.safetensors")
        return {name: single for name in single.names()}
    try:
        weight_map = json.loads(index_path.read_text("utf-8"))["weight_map"]
        names = {str(shard) for shard in weight_map.values()}
    except (ValueError, KeyError, AttributeError) as error:
        raise ModelFileError(f"{index_path}: malformed index ({error}); fetch the file again") from error
    if any(Path(name).name != name for name in names):
        raise ModelFileError(f"{index_path}: a shard lies outside the folder; fetch the file again")
    shards = {name: SafetensorsFile(folder / name) for name in sorted(names)}
    return {tensor: shards[shard] for tensor, shard in weight_map.items()}


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
        if self.architecture.family != "llama" or _layer_and_part(name)[1] not in ("q", "k"):
            return None
        head_dim = self.architecture.head_dim
        pairs = np.arange(rows).reshape(rows // head_dim, head_dim // 2, 2)
        return pairs.swapaxes(1, 2).reshape(-1)

    def _tensor(self, name: str) -> ReaderTensor:
        try:
            return self._tensors[name]
        except KeyError:
            raise ModelFileError(f"{self._path}: tensor {name!r} is missing; fetch the file again") from None

    def _place(self, name: str) -> _Place:
        layer, part, kind = _layer_and_part(name)
        prefix = f"blk.{layer}." if layer else ""
        fused = _fused_rows(self.architecture, part)
        if fused:
            return _Place(f"{prefix}{_GGUF_FUSED[fused[0]]}.{kind}", fused[1], fused[2])
        full = f"{prefix}{_GGUF_NAMES[part]}.{kind}"
        return _Place(full, 0, int(self._tensor(full).shape[-1]))


_dequantize: Callable[..., np.ndarray] = dequantize


def _dequantized(data: np.ndarray, kind: object) -> np.ndarray:
    try:
        return np.ascontiguousarray(_dequantize(data, kind), dtype=np.float32)
    except NotImplementedError as error:
        raise ModelFileError(f"GGUF: no reader for {kind}; fetch a Q4, Q5, Q6, Q8, F16 or BF16 file") from error
