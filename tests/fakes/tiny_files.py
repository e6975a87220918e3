"""Tiny model files of every kind, sound unless told otherwise. Small enough to make anew in each test."""

import json
import zipfile
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"


def write_gguf(path: Path, architecture: str = "llama", rows: int = 4) -> Path:
    """A GGUF file with two tensors and a chat template."""
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_chat_template(TEMPLATE)
    writer.add_array("tokenizer.ggml.tokens", [f"token{number}" for number in range(100)])
    writer.add_array("tokenizer.ggml.scores", [0.5] * 100)
    writer.add_tensor("token_embd.weight", np.arange(rows * 64, dtype=np.float32).reshape(rows, 64))
    writer.add_tensor("output_norm.weight", np.ones(64, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def safetensors_bytes(tensors: dict[str, np.ndarray]) -> bytes:
    """A safetensors file of float32 tensors."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        raw = tensor.astype("<f4").tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def folder_files(**config: object) -> dict[str, bytes]:
    """Names and contents of a small model folder."""
    values = {
        "model_type": "llama",
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_size": 64,
        "max_position_embeddings": 512,
        **config,
    }
    return {
        "config.json": json.dumps(values).encode(),
        "tokenizer.json": b'{"version": "1.0"}',
        "tokenizer_config.json": json.dumps({"chat_template": TEMPLATE}).encode(),
        "model.safetensors": safetensors_bytes({"weight": np.arange(4096, dtype=np.float32).reshape(64, 64)}),
    }


def write_folder(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    """Put files into a folder."""
    for name, content in (folder_files() if files is None else files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_wheel(folder: Path, project: str, version: str, files: dict[str, bytes]) -> Path:
    """A wheel pip accepts, with the files as they are named."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = project.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    path = folder / f"{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path
