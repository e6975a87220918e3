"""The tokenizer built from a GGUF header gives the same tokens as llama.cpp on the same file."""

import json
import random
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tramontane.adapters.servers.completion.profile import ModelProfile

pytestmark = pytest.mark.models
xllamacpp = pytest.importorskip("xllamacpp", reason="the extra llamacpp is not installed")

_PIECES = (
    *("Hello", " ", "  ", "\n", "\r\n", "\t", "\v", "don't", "DON'T", "'ll", "日本語", "🙂", "👨‍👩‍👧", "é", "e\u0301"),
    *("١٢٣", "123", "1", "½", "²", "٣", "_", "<|im_start|>", "</s>", "((", "!!!", "\u00a0", "\u3000", "\u200b", "ﬁ"),
    *(
        "İ",
        "ß",
        "Ⅷ",
        "foo_bar",
        "x=1;",
        "#",
        "a\n\n b",
        "\u2028",
        "ก็",
        "नमस्ते",
        "مرحبا",
        "\ufffd",
        "Ǆ",
        "ᵃ",
        "\x7f",
        "-",
    ),
)


@pytest.fixture(scope="module")
def address(chat_gguf: Path) -> Iterator[str]:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(chat_gguf)
    parameters.n_ctx = 128
    parameters.n_parallel = 1
    parameters.warmup = False
    server = xllamacpp.Server(parameters)
    yield server.listening_address
    del server


def _tokens(address: str, text: str, special: bool) -> list[int]:
    body = json.dumps({"content": text, "add_special": False, "parse_special": special}).encode()
    request = urllib.request.Request(f"{address}/tokenize", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        tokens: list[int] = json.load(answer)["tokens"]
    return tokens


def test_same_tokens(address: str, profile: ModelProfile) -> None:
    rng = random.Random(3)
    for _ in range(150):
        text = "".join(rng.choice(_PIECES) for _ in range(rng.randint(1, 12)))
        for special in (False, True):
            assert profile.tokenizer.encode(text, special) == _tokens(address, text, special), repr(text)
