"""The graph computes what the published layers say, whatever way a sequence is cut into steps and blocks."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from tests.fakes.decoder_reference import random_config, random_weights, reference_logits
from tests.fakes.model_files import fused_parts, write_folder, write_gguf
from tests.fakes.steps import Line, step_of

from tramontane.adapters.servers.openvino.paged_model import PagedModel, exact_properties
from tramontane.adapters.servers.openvino.tensors import open_source
from tramontane.adapters.servers.openvino.weights import ExactNodes

PROMPT = [int(token) for token in np.random.default_rng(7).integers(0, 320, 75)]
CONFIGS = {
    "llama": random_config("llama"),
    "llama with a head of its own": random_config("llama", tie_word_embeddings=False),
    "llama3 scaling": random_config(
        "llama",
        rope_scaling={
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    ),
    "linear scaling": random_config("llama", rope_scaling={"rope_type": "linear", "factor": 4.0}),
    "mistral with a window": random_config("mistral", sliding_window=40, tie_word_embeddings=False),
    "stretched rotation": random_config(
        "llama", rope_scaling={"rope_type": "yarn", "factor": 1.0, "attention_factor": 1.3}
    ),
    "phi3 with part of a head rotating": random_config("phi3", partial_rotary_factor=0.5, tie_word_embeddings=False),
    "qwen2": random_config("qwen2"),
    "qwen3": random_config("qwen3"),
}
GGUF_CONFIGS = {
    name: CONFIGS[name] for name in ("llama", "llama with a head of its own", "llama3 scaling", "qwen2", "qwen3")
}


def exact_model(path: Path) -> PagedModel:
    source = open_source(path)
    return PagedModel(source.architecture, ExactNodes(source), 4_000_000, exact_properties(None))


def assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, atol=2e-3 * float(np.abs(expected).max()))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_folder_gives_the_reference_logits(tmp_path: Path, name: str) -> None:
    config, weights = CONFIGS[name], random_weights(CONFIGS[name])
    stored = fused_parts(config, weights) if config["model_type"] == "phi3" else weights
    model = exact_model(write_folder(tmp_path / "model", config, stored))
    blocks = list(range(model.block_count))
    output = model.step(step_of([(Line(blocks), PROMPT)], model.block_tokens, range(len(PROMPT))))
    assert_close(output.logits, reference_logits(config, weights, PROMPT))


@pytest.mark.parametrize("name", GGUF_CONFIGS)
def test_a_gguf_file_gives_the_reference_logits(tmp_path: Path, name: str) -> None:
    config, weights = GGUF_CONFIGS[name], random_weights(GGUF_CONFIGS[name])
    model = exact_model(write_gguf(tmp_path / "model.gguf", config, weights, GGMLQuantizationType.F32))
    blocks = list(range(model.block_count))
    output = model.step(step_of([(Line(blocks), PROMPT)], model.block_tokens, range(len(PROMPT))))
    assert_close(output.logits, reference_logits(config, weights, PROMPT))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> tuple[PagedModel, np.ndarray]:
    config = CONFIGS["qwen3"]
    weights = random_weights(config)
    model = exact_model(write_folder(tmp_path_factory.mktemp("qwen3"), config, weights))
    return model, reference_logits(config, weights, PROMPT)


@pytest.mark.parametrize("chunk", [1, 7, 32, 33, 64])
def test_a_prompt_in_chunks_over_shuffled_blocks_is_the_whole_prompt(
    qwen: tuple[PagedModel, np.ndarray], chunk: int
) -> None:
    model, expected = qwen
    blocks = [int(block) for block in np.random.default_rng(chunk).permutation(model.block_count)]
    line = Line(blocks)
    for begin in range(0, len(PROMPT), chunk):
        piece = PROMPT[begin : begin + chunk]
        output = model.step(step_of([(line, piece)], model.block_tokens, range(len(piece))))
        assert_close(output.logits, expected[begin : begin + chunk])


def test_a_batch_of_prompts_and_continuations_equals_each_alone(qwen: tuple[PagedModel, np.ndarray]) -> None:
    model, expected = qwen
    shuffled = [int(block) for block in np.random.default_rng(3).permutation(model.block_count)]
    lines = [Line(shuffled[index * 3 : index * 3 + 3]) for index in range(4)]
    done = [0, 20, 40, 74]
    for line, count in zip(lines, done, strict=True):
        if count:
            model.step(step_of([(line, PROMPT[:count])], model.block_tokens, []))
    new = [PROMPT[: 75 - 2], PROMPT[20:21], PROMPT[40:60], PROMPT[74:75]]
    rows = [72, 73, 93, 94]
    output = model.step(step_of(list(zip(lines, new, strict=True)), model.block_tokens, rows))
    assert_close(output.logits, expected[[72, 20, 59, 74]])


def test_two_sequences_may_share_the_blocks_of_a_prefix(qwen: tuple[PagedModel, np.ndarray]) -> None:
    model, expected = qwen
    model.step(step_of([(Line([5, 9]), PROMPT[:64])], model.block_tokens, []))
    lines = [Line([5, 9, 2], past=64), Line([5, 9, 3], past=64)]
    output = model.step(step_of([(line, PROMPT[64:]) for line in lines], model.block_tokens, [10, 21]))
    assert_close(output.logits, expected[[74, 74]])


def test_several_rows_of_one_sequence_are_sampled_in_the_order_asked(qwen: tuple[PagedModel, np.ndarray]) -> None:
    model, expected = qwen
    line = Line(list(range(3)))
    output = model.step(step_of([(line, PROMPT)], model.block_tokens, [74, 3, 50, 50]))
    assert_close(output.logits, expected[[74, 3, 50, 50]])


def test_candidates_and_normalisers_describe_the_logits(qwen: tuple[PagedModel, np.ndarray]) -> None:
    model, _ = qwen
    output = model.step(step_of([(Line([0, 1, 2]), PROMPT)], model.block_tokens, range(75), temperature=0.5))
    logits = output.logits.astype(np.float64)
    order = np.argsort(-logits, axis=1, kind="stable")[:, :64]
    np.testing.assert_array_equal(output.top_values, np.take_along_axis(output.logits, order, 1))
    np.testing.assert_array_equal(output.top_values, np.take_along_axis(output.logits, output.top_indices, 1))
    np.testing.assert_allclose(output.lse, np.log(np.exp(logits).sum(1)), rtol=1e-5)
    np.testing.assert_allclose(output.lse_scaled, np.log(np.exp(2 * logits).sum(1)), rtol=1e-5)


def test_a_large_vocabulary_keeps_its_largest_candidates(tmp_path: Path) -> None:
    config = random_config("llama", vocab_size=64 * 130)
    model = exact_model(write_folder(tmp_path / "model", config, random_weights(config)))
    output = model.step(step_of([(Line([0, 1, 2]), PROMPT)], model.block_tokens, range(75)))
    expected = -np.sort(-output.logits, axis=1)[:, :64]
    np.testing.assert_array_equal(output.top_values, expected)
    np.testing.assert_array_equal(np.take_along_axis(output.logits, output.top_indices, 1), expected)


def test_logits_far_from_zero_overflow_nothing(tmp_path: Path) -> None:
    config = random_config("llama", tie_word_embeddings=False)
    weights = random_weights(config)
    weights["lm_head.weight"] *= 100
    model = exact_model(write_folder(tmp_path / "model", config, weights))
    output = model.step(step_of([(Line([0]), PROMPT[:8])], model.block_tokens, range(8), temperature=0.25))
    assert np.isfinite(output.lse).all() and np.isfinite(output.lse_scaled).all()
    assert (output.lse >= output.top_values[:, 0]).all()
