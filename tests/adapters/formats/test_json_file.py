"""What came with a model as JSON is read bounded, and refused by the file's name."""

from pathlib import Path

import pytest

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.formats.json_file import read_json, read_object


def test_a_sound_file_is_its_value(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"a": [1, "\u00e9"]}', "utf-8")
    assert read_object(path) == {"a": [1, "\u00e9"]}
    assert read_object(tmp_path / "none.json", optional=True) == {}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "not sound JSON"),
        (b'{"a": "\xff"}', "not sound JSON"),
        (b"[" * 100_000, "not sound JSON"),
        (b"[]", "expected a JSON object"),
    ],
)
def test_anything_else_is_refused_by_name(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(FileRefused, match=rf"config\.json: .*{problem}"):
        read_object(path)


def test_a_missing_file_and_one_too_large_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match=r"config\.json: No such file"):
        read_object(tmp_path / "config.json")
    (tmp_path / "big.json").write_text('"' + "x" * 100 + '"')
    with pytest.raises(FileRefused, match=r"sub/big\.json: 102 bytes, at most 64"):
        read_json(tmp_path / "big.json", "sub/big.json", 64)
