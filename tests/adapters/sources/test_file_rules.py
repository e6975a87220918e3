"""What may be part of a model: nothing that can run, whatever it is called and however it is dressed up."""

import json
import pickle
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.tiny_files import folder_files, safetensors_bytes, write_folder, write_gguf

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.sources.file_rules import (
    check_content,
    is_allowed,
    is_safe_path,
    refuse_code,
    select,
    strip_code,
)
from tramontane.adapters.sources.summary import summarise


class _Canary:
    """Leaves a trace when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.path,))


@given(st.text(max_size=40))
def test_a_safe_path_stays_below_its_folder(path: str) -> None:
    if is_safe_path(path):
        assert (Path("/root/folder") / path).resolve().is_relative_to("/root/folder")


def test_the_allow_list() -> None:
    names = [
        "model.gguf",
        "config.json",
        "a/model.safetensors",
        "tekken.json",
        "chat_template.jinja",
        "tokenizer.model",
    ]
    assert all(is_allowed(name) for name in names)
    refused = [
        "x.py",
        "pytorch_model.bin",
        "x.pt",
        "x.pkl",
        "x.so",
        "x",
        "a/b/c/d/e.json",
        ".git/config.json",
        "x.JSON/../y",
    ]
    assert not any(is_allowed(name) for name in refused)


@given(st.lists(st.sampled_from(["a.gguf", "b.json", "c.py", "../d.json", "sub/e.safetensors"]), unique=True))
def test_every_file_is_either_taken_or_left(paths: list[str]) -> None:
    taken, left = select(paths, (), ())
    assert sorted(taken + left) == sorted(paths)
    assert all(is_allowed(path) for path in taken)


@pytest.mark.parametrize("name", ["model.safetensors", "model.gguf", "config.json", "tokenizer.model", "vocab.txt"])
def test_a_pickle_in_disguise_is_refused_unopened(tmp_path: Path, name: str) -> None:
    canary = tmp_path / "canary"
    (tmp_path / name).write_bytes(pickle.dumps(_Canary(canary)))
    with pytest.raises(FileRefused):
        check_content(tmp_path / name, name)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "model.gguf"])
def test_an_archive_behind_the_tensors_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".gguf"):
        write_gguf(path)
    else:
        path.write_bytes(safetensors_bytes({}))
    check_content(path, name)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Canary(tmp_path / "canary")))
    with pytest.raises(FileRefused, match="bytes"):
        check_content(path, name)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("config.json", b"{", "not sound JSON"),
        ("config.json", b'{"a":' + b"[" * 100_000, "not sound JSON"),
        ("config.json", b"\xff\xfe", "not sound JSON"),
        ("vocab.txt", b"\xff\xfe", "not UTF-8"),
        ("vocab.txt", b"a\0b", "zero bytes"),
        ("tokenizer.model", b"", "is empty"),
        ("tokenizer.model", b"\x7fELF....", "a program"),
        ("chat_template.jinja", b"#!/bin/sh", "a script"),
        ("tokenizer.json", b"version https://git-lfs.github.com/spec/v1\noid", "a pointer"),
        ("run.py", b"print()", "no part of a model"),
    ],
)
def test_content_must_be_what_the_name_says(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileRefused, match=problem):
        check_content(tmp_path / name, name)


def test_auto_map_is_taken_out_at_every_depth(tmp_path: Path) -> None:
    config = {"auto_map": {"AutoModel": "evil.Model"}, "text_config": {"auto_map": {"a": "b"}, "hidden_size": 64}}
    write_folder(tmp_path, {**folder_files(**config), "generation_config.json": b"{}"})
    with pytest.raises(FileRefused, match="auto_map"):
        refuse_code(tmp_path, ["config.json"])
    assert strip_code(tmp_path, ["config.json", "generation_config.json", "tokenizer.json"]) == ("config.json",)
    kept = json.loads((tmp_path / "config.json").read_text())
    assert kept["text_config"] == {"hidden_size": 64}
    assert "auto_map" not in kept
    refuse_code(tmp_path, ["config.json"])


def test_a_folder_describes_itself(tmp_path: Path) -> None:
    write_folder(tmp_path)
    summary = summarise(tmp_path, tuple(folder_files()))
    assert (summary.architecture, summary.context_tokens, summary.parameters) == ("llama", 512, 4096)
    assert (summary.cache.layers, summary.cache.kv_heads, summary.cache.head_dim) == (2, 2, 16)
    assert summary.has_chat_template


def test_a_gguf_describes_itself(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", "mamba")
    summary = summarise(tmp_path, ("model.gguf",))
    assert (summary.architecture, summary.file_format, summary.weights.name) == ("mamba", "gguf", "model.gguf")
    assert summary.cache.bytes_per_token() == 2 * 2 * 2 * 16 * 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"config.json": None}, r"config\.json is missing"),
        ({"config.json": b"{}"}, "model_type is missing"),
        ({"config.json": b"[]"}, "expected a JSON object"),
        ({"model.safetensors": None}, "no .gguf and no .safetensors"),
        ({"model.safetensors.index.json": b'{"weight_map": {"a": "gone.safetensors"}}'}, r"gone\.safetensors"),
        ({"model.safetensors.index.json": b"{}"}, "weight_map is missing"),
    ],
)
def test_files_that_do_not_make_up_a_model(tmp_path: Path, change: dict[str, bytes | None], problem: str) -> None:
    files = {name: content for name, content in {**folder_files(), **change}.items() if content is not None}
    write_folder(tmp_path, files)
    with pytest.raises(FileRefused, match=problem):
        summarise(tmp_path, tuple(files))


def test_two_models_in_one_folder_are_not_guessed_at(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf")
    write_gguf(tmp_path / "b.gguf")
    with pytest.raises(FileRefused, match="choose one of them"):
        summarise(tmp_path, ("a.gguf", "b.gguf"))
