"""Builds the engine a prepared folder asks for: a paged decoder with its words, or an encoder with its tokenizer.

Knows which parts belong together and reports progress; knows no sockets. The process imports it once it is confined.
"""

import dataclasses
import os
import time
from pathlib import Path

from tokenizers import Tokenizer

from tramontane.adapters.servers.completion.profile import TOKENIZER_FILE, load_profile
from tramontane.adapters.servers.openvino import protocol
from tramontane.adapters.servers.openvino.chat_engine import ChatEngine
from tramontane.adapters.servers.openvino.embed_engine import EmbedEngine, Encode
from tramontane.adapters.servers.openvino.embedder import Embedder
from tramontane.adapters.servers.openvino.loop import EngineLoop
from tramontane.adapters.servers.openvino.options import EngineOptions
from tramontane.adapters.servers.openvino.paged_model import PagedModel
from tramontane.adapters.servers.openvino.prepared import MANIFEST_FILE
from tramontane.adapters.servers.openvino.prompts import PromptDesk, Send
from tramontane.engine.ports import Capacity
from tramontane.foundation.errors import Misconfigured


def load_engine(options: EngineOptions, send: Send) -> ChatEngine | EmbedEngine:
    """Load the model and everything around it. Raises the model's own errors and Misconfigured for a foreign folder."""
    folder = Path(options.folder)
    if (folder / MANIFEST_FILE).is_file():
        return _chat_engine(options, folder, send)
    if (folder / TOKENIZER_FILE).is_file():
        return _embed_engine(options, folder, send)
    raise Misconfigured(f"{folder.name} is no prepared model: it has neither {MANIFEST_FILE} nor {TOKENIZER_FILE}")


def _threads(options: EngineOptions) -> int:
    if options.threads:
        return options.threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _chat_engine(options: EngineOptions, folder: Path, send: Send) -> ChatEngine:
    send(protocol.Loading("reading words", 0, 2))
    profile = load_profile(folder, options.model)
    send(protocol.Loading("compiling the model", 1, 2))
    model = PagedModel.load(folder, options.cache_bytes, _threads(options))
    cache_tokens = (model.block_count - 1) * model.block_tokens  # the loop keeps one block to itself
    context = min(profile.context_tokens, cache_tokens)
    profile = dataclasses.replace(profile, context_tokens=context)
    loop = EngineLoop(model, max_sequences=options.max_sequences, prefill_chunk_tokens=options.prefill_chunk_tokens)
    capacity = Capacity(slots=options.max_sequences, context_tokens=context, cache_tokens=cache_tokens, can_pause=True)
    send(protocol.Loading("ready", 2, 2))
    return ChatEngine(options.model, loop, PromptDesk(profile, model.architecture.vocab_size, send), capacity, send)


def _embed_engine(options: EngineOptions, folder: Path, send: Send) -> EmbedEngine:
    send(protocol.Loading("compiling the model", 0, 1))
    embedder = Embedder.load(folder, _threads(options))
    capacity = Capacity(slots=options.max_sequences, context_tokens=embedder.architecture.max_tokens)
    send(protocol.Loading("ready", 1, 1))
    return EmbedEngine(options.model, embedder, _text_encoder(folder), capacity, send, time.monotonic_ns)


def _text_encoder(folder: Path) -> Encode:
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.no_truncation()  # files carry the limits of some training run; a longer text is refused, not cut
    tokenizer.no_padding()

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text).ids
        return ids

    return encode
