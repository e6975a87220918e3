"""Both kinds of files give the weights that were put in, whole or by rows, and damaged files are refused."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from safetensors.numpy import save_file
from tests.fakes.decoder_reference import Weights, random_config, random_weights
from tests.fakes.model_files import fused_parts, write_folder, write_gguf

from tramontane.adapters.servers.openvino.errors import ModelFileError
from tramontane.adapters.servers.openvino.safetensors_file import SafetensorsFile
from tramontane.adapters.servers.openvino.tensor_source import TensorSource
from tramontane.adapters.servers.openvino.tensors import open_source

KINDS = {
    GGMLQuantizationType.F32: 0.0,
    GGMLQuantizationType.F16: 1e-3,
    GGMLQuantizationType.BF16: 8e-3,
    GGMLQuantizationType.Q8_0: 8e-3,
    GGMLQuantizationType.Q4_0: 0.13,
    GGMLQuantizationType.Q4_1: 0.13,
}
NAMES = {
    "embed.weight": "model.embed_tokens.weight",
    "layers.1.q.weight": "model.layers.1.self_attn.q_proj.weight",
    "layers.0.k.weight": "model.layers.0.self_attn.k_proj.weight",
    "layers.1.down.weight": "model.layers.1.mlp.down_proj.weight",
    "layers.0.mlp_norm.weight": "model.layers.0.post_attention_layernorm.weight",
    "final_norm.weight": "model.norm.weight",
}


def assert_holds(source: TensorSource, weights: Weights, tolerance: float) -> None:
    for name, original in NAMES.items():
        expected = weights[original]
        assert source.shape(name) == expected.shape
        whole = source.rows(name, 0, len(expected))
        assert whole.dtype == np.float32
        assert np.abs(whole - expected).max() <= tolerance * np.abs(expected).max()
        np.testing.assert_array_equal(source.rows(name, 3, 17), whole[3:17])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_gguf_file_of_any_kind(tmp_path: Path, kind: GGMLQuantizationType) -> None:
    config = random_config("llama")
    weights = random_weights(config)
    assert_holds(open_source(write_gguf(tmp_path / "m.gguf", config, weights, kind)), weights, KINDS[kind])


@pytest.mark.parametrize("shards", [1, 3])
def test_a_folder_of_one_file_or_several(tmp_path: Path, shards: int) -> None:
    config = random_config("qwen3")
    weights = random_weights(config)
    assert_holds(open_source(write_folder(tmp_path / "m", config, weights, shards)), weights, 0.0)


def test_phi3_parts_are_cut_from_their_fused_tensors(tmp_path: Path) -> None:
    config = random_config("phi3", tie_word_embeddings=False)
    weights = random_weights(config)
    folder = write_folder(tmp_path / "m", config, fused_parts(config, weights))
    assert_holds(open_source(folder), weights, 0.0)


def test_half_and_brain_floats_are_widened(tmp_path: Path) -> None:
    values = np.linspace(-3, 3, 40, dtype=np.float32).reshape(5, 8)
    save_file({"half": values.astype(np.float16)}, tmp_path / "half.safetensors")
    np.testing.assert_allclose(
        SafetensorsFile(tmp_path / "half.safetensors").rows_f32("half", 1, 4), values[1:4], rtol=1e-3
    )
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    header = b'{"b":{"dtype":"BF16","shape":[5,8],"data_offsets":[0,80]}}'
    (tmp_path / "brain.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bits.tobytes())
    np.testing.assert_allclose(
        SafetensorsFile(tmp_path / "brain.safetensors").rows_f32("b", 1, 4), values[1:4], rtol=8e-3
    )


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_a_truncated_file_says_what_was_expected(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": np.zeros((8, 8), np.float32)}, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match="fetch the file again"):
        SafetensorsFile(path)


@pytest.mark.parametrize(
    "header",
    [
        b"not json at all",
        b"[]",
        b'{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[-16,0]}}',
        b'{"a":{"dtype":"F32","shape":[99],"data_offsets":[0,16]}}',
        b'{"a":{"dtype":"F32","shape":[4]}}',
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    with pytest.raises(ModelFileError):
        SafetensorsFile(path)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    config = random_config("llama")
    weights = random_weights(config)
    del weights["model.layers.1.mlp.up_proj.weight"]
    source = open_source(write_folder(tmp_path / "m", config, weights))
    with pytest.raises(ModelFileError, match=r"layers\.1\.mlp\.up_proj"):
        source.shape("layers.1.up.weight")


def test_a_missing_or_cut_gguf_is_refused(tmp_path: Path) -> None:
    config = random_config("llama")
    path = write_gguf(tmp_path / "m.gguf", config, random_weights(config), GGMLQuantizationType.Q8_0)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelFileError, match="truncated"):
        open_source(path)
    with pytest.raises(ModelFileError, match="No such file"):
        open_source(tmp_path / "none.gguf")


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGML" + bytes(100))
    with pytest.raises(ModelFileError):
        open_source(path)
