"""Headers and configurations become the same description, and what has no graph is refused by name."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from tests.fakes.decoder_reference import random_config, random_weights
from tests.fakes.model_files import write_folder, write_gguf

from tramontane.adapters.servers.openvino.architecture import Architecture, from_config
from tramontane.adapters.servers.openvino.errors import ModelFileError, UnsupportedArchitecture
from tramontane.adapters.servers.openvino.gguf_architecture import from_gguf
from tramontane.adapters.servers.openvino.gguf_file import GgufFile


def config_folder(folder: Path, **changes: object) -> Path:
    (folder / "config.json").write_text(json.dumps({**random_config("llama"), **changes}), "utf-8")
    return folder


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_both_formats_describe_the_same_model(tmp_path: Path, family: str) -> None:
    config = random_config(family)
    weights = random_weights(config)
    folder = from_config(write_folder(tmp_path / "folder", config, weights))
    path = write_gguf(tmp_path / "model.gguf", config, weights, GGMLQuantizationType.F32)
    header = from_gguf(GgufFile(path))
    assert header.norm_eps == pytest.approx(folder.norm_eps)
    assert {**header.to_json(), "norm_eps": 0} == {**folder.to_json(), "norm_eps": 0}


def test_a_description_survives_json(tmp_path: Path) -> None:
    architecture = from_config(config_folder(tmp_path))
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_type": "mamba"}, "'mamba'"),
        ({"model_type": "mixtral"}, "'mixtral'"),
        ({"hidden_act": "gelu"}, "'gelu'"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"rope_scaling": {"rope_type": "longrope"}}, "'longrope'"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ],
)
def test_what_has_no_graph_is_refused_by_name(tmp_path: Path, changes: dict, named: str) -> None:
    with pytest.raises(UnsupportedArchitecture) as refusal:
        from_config(config_folder(tmp_path, **changes))
    assert named in str(refusal.value) and "llamacpp" in str(refusal.value)


def test_an_unknown_gguf_family_names_the_supported_ones(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(UnsupportedArchitecture, match=r"'mamba'.*llama, mistral, qwen2, qwen3"):
        from_gguf(GgufFile(tmp_path / "model.gguf"))


def test_layers_that_differ_have_no_graph(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_head_count([4, 2])
    writer.add_tensor("token_embd.weight", np.zeros((8, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnsupportedArchitecture, match="layers differ"):
        from_gguf(GgufFile(tmp_path / "model.gguf"))


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    config = random_config("llama")
    del config["rms_norm_eps"]
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelFileError, match="rms_norm_eps"):
        from_config(tmp_path)
