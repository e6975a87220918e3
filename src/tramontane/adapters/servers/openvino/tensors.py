"""Opening a model's files as a source of float32 tensors, row ranges at a time.

Knows how Hugging Face folders name and fuse the tensors of the supported families and which reader a path wants;
knows neither the graph nor the prepared format. `prepare` reads through it, so no whole model is ever in memory.
"""

from pathlib import Path

import numpy as np

from tramontane.adapters.servers.openvino.architecture import from_config, read_settings
from tramontane.adapters.servers.openvino.errors import ModelFileError
from tramontane.adapters.servers.openvino.gguf_tensors import GgufSource
from tramontane.adapters.servers.openvino.safetensors_file import SafetensorsFile
from tramontane.adapters.servers.openvino.tensor_source import FileNames, Place, TensorSource

_NAMES = FileNames(
    "model.layers.0.",
    {
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
    },
    {"qkv": "self_attn.qkv_proj", "gate_up": "mlp.gate_up_proj"},
)


def open_source(path: Path) -> TensorSource:
    """A `.gguf` file, or a folder with `config.json` and safetensors."""
    if path.is_dir():
        return SafetensorsSource(path)
    if path.suffix == ".gguf":
        return GgufSource(path)
    raise ModelFileError(f"{path}: expected a .gguf file or a folder with config.json and safetensors")


class SafetensorsSource:
    """A Hugging Face folder: `config.json` with one `model.safetensors` or an index of shards."""

    def __init__(self, folder: Path) -> None:
        self.architecture = from_config(folder)
        self._files = _open_shards(folder)
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

    def _place(self, name: str) -> Place:
        return _NAMES.place(name, self.architecture, lambda full: self._file(full).shape(full)[0])


def _open_shards(folder: Path) -> dict[str, SafetensorsFile]:
    index_path = folder / "model.safetensors.index.json"
    if not index_path.exists():
        single = SafetensorsFile(folder / "model.safetensors")
        return {name: single for name in single.names()}
    try:
        weight_map = read_settings(index_path)["weight_map"]
        names = {str(shard) for shard in weight_map.values()}
    except (KeyError, AttributeError) as error:
        raise ModelFileError(f"{index_path}: malformed index ({error}); fetch the file again") from error
    if any(Path(name).name != name for name in names):
        raise ModelFileError(f"{index_path}: a shard lies outside the folder; fetch the file again")
    shards = {name: SafetensorsFile(folder / name) for name in sorted(names)}
    return {tensor: shards[shard] for tensor, shard in weight_map.items()}
