"""Sentence embeddings from a BERT encoder: token ids in, unit vectors out.

Knows the model folder's configuration files, padding and batching; knows no tokenizer and no request. The engine
process calls it from any thread, one call at a time.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import openvino as ov

from tramontane.adapters.servers.openvino.architecture import read_settings
from tramontane.adapters.servers.openvino.bert_graph import BertArchitecture, build_bert
from tramontane.adapters.servers.openvino.errors import ModelFileError, StepRefused, UnsupportedArchitecture
from tramontane.adapters.servers.openvino.safetensors_file import SafetensorsFile
from tramontane.foundation.errors import ContextExceeded

BATCH_TOKENS = 2048  # padded tokens in one run; more no longer fit the caches and gain nothing


class Embedder:
    """A compiled encoder with `.architecture`, `.dimension` and `.vocab_size`."""

    def __init__(self, architecture: BertArchitecture, weights: SafetensorsFile, threads: int | None = None) -> None:
        self.architecture = architecture
        self.dimension = architecture.hidden
        self.vocab_size = architecture.vocab_size
        properties: dict[str, Any] = {"NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
        if threads is not None:
            properties["INFERENCE_NUM_THREADS"] = threads
        compiled = ov.Core().compile_model(build_bert(architecture, weights), "CPU", properties)
        self._request = compiled.create_infer_request()
        self._one_at_a_time = threading.Lock()

    @classmethod
    def load(cls, folder: Path, threads: int | None = None) -> Self:
        """Open a folder with `config.json`, `model.safetensors` and, where present, `1_Pooling/config.json`.

        Raises ModelFileError for a damaged folder and UnsupportedArchitecture for another kind of encoder.
        """
        architecture = read_bert_architecture(folder)
        file = SafetensorsFile(folder / "model.safetensors")
        embedder = cls(architecture, file, threads)
        file.forget_pages()
        return embedder

    def embed(self, sequences: Sequence[Sequence[int]]) -> np.ndarray:
        """Unit vectors [N, dimension] float32 in the order given. Releases the interpreter lock while computing.

        Sequences are token ids with the special tokens the model wants. Raises ContextExceeded for one that is too
        long and StepRefused for one that is empty or names an unknown token.
        """
        for sequence in sequences:
            self._check(sequence)
        vectors = np.empty((len(sequences), self.dimension), np.float32)
        for members in batches([len(sequence) for sequence in sequences], BATCH_TOKENS):
            vectors[members] = self._run([sequences[member] for member in members])
        return vectors

    def _check(self, sequence: Sequence[int]) -> None:
        if len(sequence) > self.architecture.max_tokens:
            raise ContextExceeded(
                f"input has {len(sequence)} tokens, the model takes {self.architecture.max_tokens}; shorten or split it",
                param="input",
            )
        if not sequence or min(sequence) < 0 or max(sequence) >= self.architecture.vocab_size:
            raise StepRefused(f"input: token ids must lie in [0, {self.architecture.vocab_size}) and not be missing")

    def _run(self, sequences: list[Sequence[int]]) -> np.ndarray:
        longest = max(len(sequence) for sequence in sequences)
        tokens = np.zeros((len(sequences), longest), np.int64)
        mask = np.zeros((len(sequences), longest), np.float32)
        for row, sequence in enumerate(sequences):
            tokens[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        with self._one_at_a_time:
            self._request.set_input_tensor(0, ov.Tensor(tokens, shared_memory=True))
            self._request.set_input_tensor(1, ov.Tensor(mask, shared_memory=True))
            self._request.start_async()
            self._request.wait()
            return self._request.get_output_tensor(0).data.copy()


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices in groups of like length, each of at most `batch_tokens` padded tokens (a longer one goes alone)."""
    members: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index], reverse=True):
        if members and lengths[members[0]] * (len(members) + 1) > batch_tokens:
            yield members
            members = []
        members.append(index)
    if members:
        yield members


def read_bert_architecture(folder: Path) -> BertArchitecture:
    """The encoder's shape. Raises ModelFileError or UnsupportedArchitecture."""
    config = read_settings(folder / "config.json")
    if config.get("model_type") != "bert" or config.get("position_embedding_type", "absolute") != "absolute":
        raise UnsupportedArchitecture(
            f"model_type {config.get('model_type')!r} has no embedding graph (supported: bert)"
        )
    activation = str(config.get("hidden_act", "gelu"))
    if activation not in ("gelu", "gelu_new", "relu"):
        raise UnsupportedArchitecture(
            f"hidden_act {activation!r} has no embedding graph (supported: gelu, gelu_new, relu)"
        )
    limit = read_settings(folder / "sentence_bert_config.json", optional=True).get("max_seq_length")
    try:
        positions = int(config["max_position_embeddings"])
        return BertArchitecture(
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            norm_eps=float(config.get("layer_norm_eps", 1e-12)),
            max_tokens=min(positions, int(limit)) if limit else positions,
            vocab_size=int(config["vocab_size"]),
            activation=activation,
            pooling=_pooling(read_settings(folder / "1_Pooling" / "config.json", optional=True)),
        )
    except KeyError as error:
        raise ModelFileError(f"{folder / 'config.json'}: field {error} is missing; fetch the file again") from error


def _pooling(config: dict[str, Any]) -> str:
    modes = [mode for mode in config if mode.startswith("pooling_mode_") and config[mode]]
    known = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if not modes:
        return "mean"
    if len(modes) > 1 or modes[0] not in known:
        raise UnsupportedArchitecture(f"pooling {', '.join(modes)} has no embedding graph (supported: mean, cls)")
    return known[modes[0]]
