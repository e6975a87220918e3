"""A model's words are written once from either source and read back; what is wrong names the file and the cure."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fakes.asks import ADD, chat, user

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.servers.completion.gguf_tokenizer import build_tokenizer
from tramontane.adapters.servers.completion.profile import load_profile, read_profile_file
from tramontane.adapters.servers.completion.profile_writer import write_profile
from tramontane.adapters.servers.completion.prompt import read
from tramontane.adapters.servers.completion.tokenizer import FastTokenizer
from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.nouns import Ask

_QWEN_LIKE = (
    "{% if tools %}# Tools\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}{% endif %}"
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)


@pytest.mark.models
def test_the_embedded_model(words_folder: Path) -> None:
    file = read_profile_file(words_folder)
    assert (file.family, file.context_tokens, file.bos_id, file.tool_format) == ("llama", 8192, None, "tagged")
    assert file.template is not None and (file.template.tools, file.template.system) == (False, True)
    loaded = load_profile(words_folder, "other-name")
    try:
        assert loaded.name == "other-name"
        assert loaded.capabilities == {"completion", "chat", "tools", "fim"}
        assert loaded.stop_ids == {0, 2}
    finally:
        loaded.close()


def _hub_folder(words_folder: Path, folder: Path, template: Any, **config: Any) -> Path:
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes((words_folder / "tokenizer.json").read_bytes())
    (folder / "config.json").write_text(
        json.dumps({"model_type": "qwen3", "max_position_embeddings": 4096, "eos_token_id": 2, **config})
    )
    (folder / "generation_config.json").write_text(
        json.dumps({"temperature": 0.6, "top_k": 20, "eos_token_id": [2, 0]})
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": {"content": "<|im_end|>"}, "bos_token": None, "chat_template": template})
    )
    return folder


@pytest.mark.models
@pytest.mark.parametrize("listed", [False, True])
def test_a_hub_folder(words_folder: Path, tmp_path: Path, listed: bool) -> None:
    template: Any = [{"name": "default", "template": _QWEN_LIKE}] if listed else _QWEN_LIKE
    source = _hub_folder(words_folder, tmp_path / "hub", template)
    folder = tmp_path / "prepared"
    folder.mkdir()
    write_profile(source, folder, "thinker")
    file = read_profile_file(folder)
    assert file.template is not None and (file.template.tools, file.template.system) == (True, False)
    assert file.thinking is not None and file.thinking.begin == "<think>"
    assert (file.sampling.temperature, file.sampling.top_k, file.stop_ids) == (0.6, 20, [0, 2])
    loaded = load_profile(folder)
    try:
        rendered = read(chat(user("hi"), tools=(ADD,)), loaded)
        assert rendered.thinking
        assert '"name": "add"' in loaded.tokenizer.decode(rendered.tokens)
    finally:
        loaded.close()


@pytest.mark.models
def test_a_hostile_template_is_refused_when_the_model_is_added(words_folder: Path, tmp_path: Path) -> None:
    bomb = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    source = _hub_folder(words_folder, tmp_path / "hub", bomb)
    with pytest.raises(Misconfigured, match="template"):
        write_profile(source, tmp_path, "bomb")


@pytest.mark.models
def test_trained_fim_tokens_are_used(words_folder: Path, tmp_path: Path) -> None:
    source = _hub_folder(words_folder, tmp_path / "hub", None)
    content = json.loads((source / "tokenizer.json").read_text())
    for number, name in enumerate(("<fim_prefix>", "<fim_suffix>", "<fim_middle>")):
        content["added_tokens"].append(
            {"id": 49152 + number, "content": name, "special": True, "single_word": False, "lstrip": False}
            | {"rstrip": False, "normalized": False}
        )
    (source / "tokenizer.json").write_text(json.dumps(content))
    folder = tmp_path / "prepared"
    folder.mkdir()
    write_profile(source, folder, "coder")
    loaded = load_profile(folder)
    try:
        rendered = read(Ask(id="a", model="m", kind="fim", prompt="ab", suffix="cd"), loaded)
        shown = b"".join(loaded.tokenizer.token_bytes(token) for token in rendered.tokens)
        assert shown == b"<fim_prefix>ab<fim_suffix>cd<fim_middle>"
        assert {0, 2, 49152, 49153, 49154} <= rendered.stop_tokens
    finally:
        loaded.close()


@pytest.mark.models
@pytest.mark.parametrize("broken", ["tokenizer.json", "profile.json", "chat_template.jinja"])
@pytest.mark.parametrize("how", ["missing", "garbage"])
def test_a_damaged_folder_names_the_file(words_folder: Path, tmp_path: Path, broken: str, how: str) -> None:
    for path in words_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if how == "missing":
        (tmp_path / broken).unlink()
    else:
        (tmp_path / broken).write_bytes(b"\xff\xfe{ not this")
    with pytest.raises(Misconfigured, match=broken):
        load_profile(tmp_path)


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 10}')
    with pytest.raises(Misconfigured, match=r"tokenizer\.json"):
        write_profile(tmp_path, tmp_path, "x")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Misconfigured, match="max_position_embeddings"):
        write_profile(tmp_path, tmp_path, "x")


def test_a_damaged_gguf_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "b.gguf"
    path.write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(FileRefused, match=r"b\.gguf"):
        write_profile(path, tmp_path, "x")


def test_unknown_vocabularies_name_what_is_known() -> None:
    with pytest.raises(Misconfigured, match="gpt2, llama"):
        build_tokenizer({"tokenizer.ggml.model": "rwkv"})
    with pytest.raises(Misconfigured, match="strange"):
        build_tokenizer({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "strange"})
    with pytest.raises(Misconfigured, match=r"tokenizer\.ggml\.tokens"):
        build_tokenizer({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2"})


def _sentencepiece(pieces: dict[str, float]) -> FastTokenizer:
    control = ["<unk>", "<s>", "</s>"]
    raw = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = [*control, *raw, *pieces]
    return FastTokenizer(
        build_tokenizer(
            {
                "tokenizer.ggml.model": "llama",
                "tokenizer.ggml.tokens": tokens,
                "tokenizer.ggml.scores": [0.0] * (len(control) + 256) + list(pieces.values()),
                "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * len(pieces),
            }
        ).to_str()
    )


def test_sentencepiece_joins_the_best_scored_piece() -> None:
    tokenizer = _sentencepiece({"▁": -9.0, "a": -9.1, "b": -9.2, "c": -9.3, "bc": -1.0, "ab": -2.0, "▁a": -3.0})
    assert [tokenizer.token_bytes(token) for token in tokenizer.encode("abc")] == [b" a", b"bc"]
    assert tokenizer.strips_first_space
    assert tokenizer.decode(tokenizer.encode("é<s>")) == " é<s>"
    assert tokenizer.token_bytes(3 + 0xC3) == b"\xc3"


def test_profile_file_refuses_unknown_fields_and_versions(tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text('{"format": 9, "surprise": 1}')
    with pytest.raises(Misconfigured, match=r"profile\.json"):
        read_profile_file(tmp_path)
    assert msgspec.json.decode((tmp_path / "profile.json").read_bytes())["format"] == 9
