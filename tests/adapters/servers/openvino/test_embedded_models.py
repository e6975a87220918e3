"""The models the platform comes with: prepared within the bound, sensible in English, near in meaning."""

from pathlib import Path

import numpy as np
import pytest
from tests.adapters.servers.openvino.tokens import gguf_tokenizer
from tests.fakes.steps import Line, step_of
from tokenizers import Tokenizer

from tramontane.adapters.servers.openvino.embedder import Embedder
from tramontane.adapters.servers.openvino.paged_model import PagedModel
from tramontane.adapters.servers.openvino.prepare import DISTANCE_BOUND_NATS, prepare
from tramontane.foundation.progress import silent

pytestmark = pytest.mark.models

BEGIN, END = 1, 2
QUESTION = "user\nWhat is the capital of France?"
ANSWER_BEGIN = "assistant\n"


def greedy(model: PagedModel, prompt: list[int], limit: int) -> list[int]:
    line, new, answer = Line(list(range(model.block_count))), prompt, []
    while len(answer) < limit:
        output = model.step(step_of([(line, new)], model.block_tokens, [len(new) - 1]))
        token = int(output.top_indices[0, 0])
        if token == END:
            break
        answer.append(token)
        new = [token]
    return answer


def test_the_chat_model_is_prepared_within_the_bound_and_answers(chat_gguf: Path, tmp_path: Path) -> None:
    tokenizer = gguf_tokenizer(chat_gguf)
    manifest = prepare(chat_gguf, tmp_path / "ready", silent, lambda text: tokenizer.encode(text).ids)
    assert manifest.distance.nats is not None and manifest.distance.nats <= DISTANCE_BOUND_NATS
    assert manifest.distance.tokens > 500
    model = PagedModel.load(tmp_path / "ready", 64 << 20)
    newline = tokenizer.encode("\n").ids
    prompt = [BEGIN, *tokenizer.encode(QUESTION).ids, END, *newline, BEGIN, *tokenizer.encode(ANSWER_BEGIN).ids]
    assert "Paris" in tokenizer.decode(greedy(model, prompt, 40))


def test_the_embedding_model_puts_like_meanings_together(embedding_folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(embedding_folder / "tokenizer.json"))
    tokenizer.no_padding()
    texts = ["The ship left the harbour.", "A boat sailed out of port.", "He was paid on Friday."]
    embedder = Embedder.load(embedding_folder)
    ship, boat, pay = embedder.embed([tokenizer.encode(text).ids for text in texts])
    assert embedder.architecture.max_tokens == 256
    assert float(ship @ boat) > 0.5 > 0.3 > float(ship @ pay)
    np.testing.assert_allclose(np.linalg.norm([ship, boat, pay], axis=1), 1, rtol=1e-5)
