"""The loop over real graphs: a tiny random decoder everywhere, and the embedded chat model beside transformers.

Arithmetic differs between the two sides in the order of sums, so where the reference itself hardly prefers its first
choice to its second, either is right: every token is checked against the reference's logits for the very text it
followed, and a token other than the best must lie within a bound of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from tests.adapters.servers.openvino.tokens import gguf_tokenizer
from tests.fakes.decoder_reference import random_config, random_weights, reference_logits, rounded_to_int8_rows
from tests.fakes.model_files import write_folder
from tests.fakes.token_requests import Outcome, run_dry, token_request

from tramontane.adapters.servers.openvino.loop import EngineLoop
from tramontane.adapters.servers.openvino.paged_model import PagedModel, exact_properties
from tramontane.adapters.servers.openvino.prepare import prepare
from tramontane.adapters.servers.openvino.tensors import open_source
from tramontane.adapters.servers.openvino.weights import ExactNodes
from tramontane.foundation.nouns import Sampling
from tramontane.foundation.progress import silent

Reference = Callable[[list[int]], np.ndarray]
ONCE = "The lighthouse keeper wrote one line in his book every evening: the wind, the sea, the ships."


def exact_model(path: Path, cache_bytes: int) -> PagedModel:
    source = open_source(path)
    return PagedModel(source.architecture, ExactNodes(source), cache_bytes, exact_properties(None))


def shortfalls(reference: Reference, prompt: list[int], answer: list[int]) -> np.ndarray:
    """For each token of an answer, how far the reference's logit for it lies below its best; 0 is agreement."""
    logits = reference([*prompt, *answer])[len(prompt) - 1 : -1]
    return logits.max(axis=1) - logits[np.arange(len(answer)), answer]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[PagedModel, Reference]:
    config = random_config("llama")
    weights = random_weights(config)
    folder = write_folder(tmp_path_factory.mktemp("tiny") / "model", config, weights)
    return exact_model(folder, 8_000_000), lambda tokens: reference_logits(config, weights, tokens)


def tiny_prompts() -> dict[str, list[int]]:
    rng = np.random.default_rng(5)
    common = rng.integers(3, 320, 70).tolist()
    prompts = {f"r{index}": rng.integers(3, 320, 5 + 17 * index).tolist() for index in range(5)}
    return prompts | {f"shared{index}": [*common, 10 + index] for index in range(3)}


def test_answers_over_a_real_graph_follow_the_reference(tiny: tuple[PagedModel, Reference]) -> None:
    """Chunks, a shared prefix, guesses, several choices, cancelled neighbours: all over real cache tensors."""
    model, reference = tiny
    prompts = tiny_prompts()
    loop = EngineLoop(model, max_sequences=5, prefill_chunk_tokens=40)
    for name, prompt in prompts.items():
        loop.submit(token_request(name, prompt, 45, share=name, n=2 if name == "r1" else 1))
        loop.submit(token_request(f"gone-{name}", prompt[:20], 45, share=name))
    outcome = Outcome()
    outcome.add(loop.step())
    for name in prompts:
        assert loop.cancel(f"gone-{name}") is not None
    run_dry(loop, outcome)
    assert outcome.finished["shared2"].cached_tokens == 64
    for (name, _), answer in outcome.tokens.items():
        if name in prompts:
            assert len(answer) == 45
            assert shortfalls(reference, prompts[name], answer).max() < 1e-2


def test_log_probabilities_over_a_real_graph_are_the_references(tiny: tuple[PagedModel, Reference]) -> None:
    model, reference = tiny
    prompt = tiny_prompts()["r3"]
    loop = EngineLoop(model)
    loop.submit(token_request("r", prompt, 12, logprobs=3, sampling=Sampling(temperature=0.8), seed=11))
    outcome = run_dry(loop)
    answer = outcome.tokens["r", 0]
    logits = reference([*prompt, *answer])[len(prompt) - 1 : -1].astype(np.float64)
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    for position, found in enumerate(outcome.logprobs["r", 0]):
        assert found.taken == pytest.approx(expected[position, answer[position]], abs=1e-2)
        assert [value for _, value in found.top] == pytest.approx(-np.sort(-expected[position])[:3], abs=1e-2)


def torch_logits(weights: dict[str, Any], config: Any) -> Reference:
    """Transformers' own decoder in float32 over the given weights."""
    import torch  # noqa: PLC0415
    from transformers import LlamaForCausalLM  # noqa: PLC0415

    model = LlamaForCausalLM(config).eval()
    state = {name: torch.from_numpy(np.ascontiguousarray(tensor)) for name, tensor in weights.items()}
    missing = model.load_state_dict(state, strict=False)
    assert set(missing.missing_keys) <= {"lm_head.weight"} and not missing.unexpected_keys
    model.tie_weights()

    def logits(tokens: list[int]) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.tensor([tokens])).logits[0].numpy()

    return logits


@pytest.fixture(scope="module")
def published(chat_gguf: Path) -> tuple[dict[str, np.ndarray], Any]:
    """The chat model's weights in float32 under transformers' names, read without the project's own readers."""
    from transformers import LlamaConfig  # noqa: PLC0415

    reader = gguf.GGUFReader(chat_gguf)
    value = {name: field.contents() for name, field in reader.fields.items() if name.startswith("llama.")}
    heads, key_heads = value["llama.attention.head_count"], value["llama.attention.head_count_kv"]
    weights = {}
    for tensor in reader.tensors:
        rows = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if ".attn_q." in tensor.name or ".attn_k." in tensor.name:
            # The file holds the two numbers that rotate together side by side, transformers half a head apart.
            groups = heads if ".attn_q." in tensor.name else key_heads
            rows = rows.reshape(groups, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)
        weights[_published_name(tensor.name)] = rows
    config = LlamaConfig(
        vocab_size=weights["model.embed_tokens.weight"].shape[0],
        hidden_size=value["llama.embedding_length"],
        intermediate_size=value["llama.feed_forward_length"],
        num_hidden_layers=value["llama.block_count"],
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        max_position_embeddings=value["llama.context_length"],
        rms_norm_eps=value["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": value["llama.rope.freq_base"]},
        tie_word_embeddings=True,
    )
    return weights, config


def _published_name(name: str) -> str:
    whole = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    if name in whole:
        return whole[name]
    _, layer, part, kind = name.split(".")
    parts = {
        "attn_norm": "input_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    return f"model.layers.{layer}.{parts[part]}.{kind}"


def chat_prompts(chat_gguf: Path) -> dict[str, list[int]]:
    tokenizer = gguf_tokenizer(chat_gguf)
    newline = tokenizer.encode("\n").ids

    def turn(text: str) -> list[int]:
        return [1, *tokenizer.encode(f"user\n{text}").ids, 2, *newline, 1, *tokenizer.encode("assistant\n").ids]

    return {
        "capital": turn("What is the capital of France?"),
        "copy": turn(f"Repeat this text word for word.\n{ONCE} {ONCE}"),
        "story": turn("Write a short story about a mill on a river and the two brothers who keep it."),
        "list": turn("Name five fruits, one on each line."),
    }


@pytest.mark.models
def test_exact_weights_give_transformers_greedy_answers(
    chat_gguf: Path, published: tuple[dict[str, np.ndarray], Any]
) -> None:
    """Float32 on both sides: the same answer but for near ties of less than a thousandth of a logit."""
    reference = torch_logits(*published)
    loop = EngineLoop(exact_model(chat_gguf, 200 << 20), prefill_chunk_tokens=48)
    prompts = chat_prompts(chat_gguf)
    for name, prompt in prompts.items():
        loop.submit(token_request(name, prompt, 24, share=name, stop_tokens=frozenset({2})))
    outcome = run_dry(loop)
    for name, prompt in prompts.items():
        assert len(outcome.tokens[name, 0]) >= 3
        assert shortfalls(reference, prompt, outcome.tokens[name, 0]).max() < 1e-3


@pytest.mark.models
def test_prepared_weights_stay_near_transformers_and_batching_near_running_alone(
    chat_gguf: Path, published: tuple[dict[str, np.ndarray], Any], tmp_path: Path
) -> None:
    """The engine rounds activations to int8 and sums in bfloat16, the reference does neither over the same weights.

    Nine of ten tokens must be the reference's own choice and none may lie more than 1.5 logits below it, whether the
    requests run together, with guesses and in chunks, or one after the other without.
    """
    weights, config = published
    reference = torch_logits(rounded_to_int8_rows(weights), config)
    prepare(chat_gguf, tmp_path / "ready", silent)
    model = PagedModel.load(tmp_path / "ready", 200 << 20)
    prompts = chat_prompts(chat_gguf)
    together = EngineLoop(model, prefill_chunk_tokens=48)
    for name, prompt in prompts.items():
        together.submit(token_request(name, prompt, 40, share=name))
    answers = {name: run.tokens[name, 0] for run in [run_dry(together)] for name in prompts}
    for name, prompt in prompts.items():
        alone = EngineLoop(model, speculate=False)
        alone.submit(token_request(name, prompt, 40))
        answers[f"{name} alone"] = run_dry(alone).tokens[name, 0]
    misses = {name: shortfalls(reference, prompts[name.removesuffix(" alone")], answers[name]) for name in answers}
    every = np.concatenate(list(misses.values()))
    assert (every == 0).mean() >= 0.9
    assert every.max() < 1.5


@pytest.mark.models
def test_a_seeded_answer_is_the_same_alone_and_in_company(chat_gguf: Path, tmp_path: Path) -> None:
    """Token for token, through the rounding of prepared weights. Namespaces keep the runs from sharing a cache."""
    prepare(chat_gguf, tmp_path / "ready", silent)
    model = PagedModel.load(tmp_path / "ready", 200 << 20)
    prompts, seeded = chat_prompts(chat_gguf), Sampling(temperature=0.7, seed=5)
    alone, company = {}, EngineLoop(model, prefill_chunk_tokens=48)
    for name, prompt in prompts.items():
        loop = EngineLoop(model)
        loop.submit(token_request(name, prompt, 30, sampling=seeded, seed=5, namespace=b"alone"))
        alone[name] = run_dry(loop).tokens[name, 0]
        company.submit(token_request(name, prompt, 30, sampling=seeded, seed=5, share=name, namespace=b"company"))
    outcome = run_dry(company)
    assert {name: outcome.tokens[name, 0] for name in prompts} == alone
