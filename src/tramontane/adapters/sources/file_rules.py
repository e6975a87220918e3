"""Which files may be part of a model, by name and by content: data only, never anything that can run.

Knows the allow-list, the shape of each allowed kind, and how `auto_map` is taken out of a configuration. Knows no
source; every source asks here before a file is fetched and again once its bytes are there.
"""

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.formats.gguf_header import read_gguf
from tramontane.adapters.formats.json_file import MAX_TEXT_BYTES, read_json
from tramontane.adapters.formats.safetensors_header import read_safetensors

ALLOWED_SUFFIXES = frozenset({".gguf", ".safetensors", ".json", ".txt", ".model", ".tekken", ".jinja"})
WEIGHT_SUFFIXES = frozenset({".gguf", ".safetensors"})
PICKLE_SUFFIXES = frozenset(
    {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".npz", ".h5"}
)
MAX_CONFIG_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 4
_SHARD = re.compile(r"-0000[2-9]-of-|-000[1-9]\d-of-")
_EXECUTABLE_KEYS = frozenset({"auto_map", "trust_remote_code", "custom_pipelines"})
_FOREIGN_STARTS = {
    b"PK": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"#!": "a script",
    b"version https://git-lfs": "a pointer to the real file, which was not fetched",
}


def is_safe_path(path: str) -> bool:
    """Whether a relative name stays below its folder on every system."""
    parts = path.split("/")
    return (
        0 < len(parts) <= MAX_DEPTH
        and all(part and part not in (".", "..") and not part.startswith(".") for part in parts)
        and not any(char in path for char in "\\:\0\n\r")
        and not PurePosixPath(path).is_absolute()
        and len(path) <= 255
    )


def is_allowed(path: str) -> bool:
    """Whether a file of that name may be part of a model."""
    return is_safe_path(path) and PurePosixPath(path).suffix.lower() in ALLOWED_SUFFIXES


def select(paths: Iterable[str], include: tuple[str, ...], exclude: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The allowed paths that match `include` (empty: all) and not `exclude`; and the rest, both in order."""
    taken: list[str] = []
    left: list[str] = []
    for path in sorted(paths):
        wanted = not include or any(fnmatchcase(path, pattern) for pattern in include)
        refused = any(fnmatchcase(path, pattern) for pattern in exclude)
        (taken if wanted and not refused and is_allowed(path) else left).append(path)
    return taken, left


def one_model(paths: list[str], where: str) -> tuple[list[str], list[str]]:
    """Of a repository that holds its weights in several forms, the one to take, and the doubles left behind.

    Sharded or single `model*.safetensors` come before all else; of several GGUF files none is guessed at. Raises
    FileRefused naming them.
    """
    whole = [path for path in paths if fnmatchcase(path, "model*.safetensors")]
    ggufs = [path for path in paths if path.lower().endswith(".gguf") and not _SHARD.search(path.lower())]
    if whole:
        kept = [path for path in paths if path in whole or PurePosixPath(path).suffix.lower() not in WEIGHT_SUFFIXES]
        return kept, [path for path in paths if path not in kept]
    models = [path for path in ggufs if "mmproj" not in path.lower()]
    if len(models) > 1:
        raise FileRefused(
            f"{where} has {len(models)} GGUF files ({', '.join(models[:8])}); say which one, as in {where}#{models[-1]}"
        )
    return paths, []


def require_weights(paths: Iterable[str], left_out: Iterable[str], where: str) -> None:
    """Raises FileRefused when no weights are among the files, saying why those there are cannot be taken."""
    if any(PurePosixPath(path).suffix.lower() in WEIGHT_SUFFIXES for path in paths):
        return
    pickles = [path for path in left_out if PurePosixPath(path).suffix.lower() in PICKLE_SUFFIXES]
    if pickles:
        raise FileRefused(
            f"{where} has its weights only as {', '.join(pickles[:3])}: such files can run code when they are opened; "
            "choose a model with .safetensors or .gguf files"
        )
    raise FileRefused(
        f"{where} has no .safetensors or .gguf file that was asked for; choose another repository or pattern"
    )


def check_content(path: Path, name: str) -> None:
    """Raises FileRefused unless the bytes are what the name says."""
    suffix = PurePosixPath(name).suffix.lower()
    if not is_allowed(name):
        raise FileRefused(f"{name}: files of this kind are no part of a model; leave it out")
    if suffix == ".gguf":
        read_gguf(path)
    elif suffix == ".safetensors":
        read_safetensors(path)
    elif suffix == ".model":
        _refuse_foreign(path, name)
    else:
        _check_text(path, name, suffix)


def strip_code(folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Take every `auto_map` and its like out of the configurations below `folder`; the names of those altered."""
    altered = []
    for name in names:
        if not _is_config(name):
            continue
        path = folder / name
        values = _parsed(path, name)
        cleaned = _without_code(values)
        if cleaned != values:
            path.write_text(json.dumps(cleaned, indent=2, ensure_ascii=False), "utf-8")
            altered.append(name)
    return tuple(altered)


def refuse_code(folder: Path, names: Iterable[str]) -> None:
    """Raises FileRefused when a configuration that must not be altered names code to run."""
    for name in names:
        if _is_config(name) and _without_code(values := _parsed(folder / name, name)) != values:
            raise FileRefused(f"{name} names code to run (auto_map); add the model as a copy, which leaves that out")


def _is_config(name: str) -> bool:
    return name.endswith(".json") and "config" in PurePosixPath(name).name


def _check_text(path: Path, name: str, suffix: str) -> None:
    _refuse_foreign(path, name)
    size = path.stat().st_size
    if size > MAX_TEXT_BYTES:
        raise FileRefused(f"{name}: {size:,} bytes of text, at most {MAX_TEXT_BYTES:,} are allowed")
    if suffix == ".json":
        _parsed(path, name)
        return
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise FileRefused(f"{name}: not UTF-8 text at byte {error.start:,}; fetch the file again") from None
    if "\0" in text:
        raise FileRefused(f"{name}: holds zero bytes, expected text; fetch the file again")


def _refuse_foreign(path: Path, name: str) -> None:
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise FileRefused(f"{name}: is empty; fetch the file again")
    for magic, what in _FOREIGN_STARTS.items():
        if start.startswith(magic):
            raise FileRefused(f"{name}: starts with {start[:8]!r}, this is {what}; fetch the file again")
    if start[0] == 0x80 and len(start) > 1 and start[1] <= 5:
        raise FileRefused(
            f"{name}: starts with {start[:2]!r}, this is a pickle, which can run code; choose another file"
        )


def _parsed(path: Path, name: str) -> Any:
    return read_json(path, name, MAX_CONFIG_BYTES if _is_config(name) else MAX_TEXT_BYTES)


def _without_code(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _without_code(value) for key, value in values.items() if key not in _EXECUTABLE_KEYS}
    if isinstance(values, list):
        return [_without_code(value) for value in values]
    return values
