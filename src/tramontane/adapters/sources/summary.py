"""What a model's files say of themselves: format, architecture, context, cache shape and size, read from headers only.

Knows GGUF fields and `config.json`; knows no source and no engine. `install` shows it to the engine chooser and keeps it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.formats.gguf_header import GgufHeader, read_gguf
from tramontane.adapters.formats.json_file import read_object
from tramontane.adapters.formats.safetensors_header import read_safetensors
from tramontane.records.catalog.nouns import CacheShape


@dataclass(frozen=True)
class FilesSummary:
    """`weights` is what an engine opens: the GGUF file (the first of several parts) or the folder with config.json."""

    file_format: Literal["gguf", "safetensors"]
    weights: Path
    architecture: str
    context_tokens: int
    cache: CacheShape
    parameters: int
    has_chat_template: bool


def summarise(folder: Path, names: tuple[str, ...]) -> FilesSummary:
    """Read the headers of checked files. Raises FileRefused when they do not make up one model."""
    ggufs = sorted(name for name in names if name.lower().endswith(".gguf"))
    if ggufs:
        return _from_gguf(folder, ggufs)
    tensors = sorted(name for name in names if name.lower().endswith(".safetensors"))
    if not tensors:
        raise FileRefused("no .gguf and no .safetensors file is there; choose the folder that holds the weights")
    if "config.json" not in names:
        raise FileRefused("config.json is missing beside the safetensors files; choose the folder that holds both")
    return _from_config(folder, names, tensors)


def _from_gguf(folder: Path, names: list[str]) -> FilesSummary:
    headers = {name: read_gguf(folder / name) for name in names}
    whole = {name: header for name, header in headers.items() if not _is_projector(header)}
    if not whole:
        raise FileRefused(f"{names[0]} is an image projector, not a language model; fetch the model's own file")
    name, header = next(iter(whole.items()))
    if len(whole) > 1 and header.values.get("split.count") != len(whole):
        raise FileRefused(f"{len(whole)} GGUF files are there ({', '.join(list(whole)[:3])}); choose one of them")
    layers, heads = header.number("block_count"), header.number("attention.head_count")
    hidden = header.number("embedding_length")
    kv_heads = header.number("attention.head_count_kv") or heads
    head_dim = header.number("attention.key_length") or (hidden // heads if heads else 0)
    return FilesSummary(
        file_format="gguf",
        weights=folder / name,
        architecture=header.architecture,
        context_tokens=header.number("context_length"),
        cache=CacheShape(layers=layers, kv_heads=kv_heads, head_dim=head_dim),
        parameters=sum(part.parameters for part in whole.values()),
        has_chat_template=bool(header.chat_template),
    )


def _is_projector(header: GgufHeader) -> bool:
    return header.architecture in ("clip", "mmproj")


def _from_config(folder: Path, names: tuple[str, ...], tensors: list[str]) -> FilesSummary:
    config = read_object(folder / "config.json")
    text = config["text_config"] if isinstance(config.get("text_config"), dict) else config
    architecture = config.get("model_type")
    if not isinstance(architecture, str) or not architecture:
        raise FileRefused("config.json: the text field model_type is missing; fetch the file again")
    _check_index(folder, names)
    heads = _size(text, "num_attention_heads")
    head_dim = _size(text, "head_dim") or (_size(text, "hidden_size") // heads if heads else 0)
    cache = CacheShape(
        layers=_size(text, "num_hidden_layers"), kv_heads=_size(text, "num_key_value_heads") or heads, head_dim=head_dim
    )
    template = "chat_template.jinja" in names or (
        "tokenizer_config.json" in names and bool(read_object(folder / "tokenizer_config.json").get("chat_template"))
    )
    return FilesSummary(
        file_format="safetensors",
        weights=folder,
        architecture=architecture,
        context_tokens=_size(text, "max_position_embeddings"),
        cache=cache,
        parameters=sum(read_safetensors(folder / name).parameters for name in tensors),
        has_chat_template=template,
    )


def _check_index(folder: Path, names: tuple[str, ...]) -> None:
    """Every shard the index names has to be there."""
    if "model.safetensors.index.json" not in names:
        return
    weight_map = read_object(folder / "model.safetensors.index.json").get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise FileRefused("model.safetensors.index.json: weight_map is missing; fetch the file again")
    missing = sorted(set(weight_map.values()) - set(names))
    if missing:
        raise FileRefused(
            f"the index names {len(missing)} files that are not there: {', '.join(missing[:3])}; fetch them"
        )


def _size(values: dict[str, Any], key: str) -> int:
    value = values.get(key)
    return value if type(value) is int and value > 0 else 0
