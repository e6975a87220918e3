"""Pulling from a hub: pinned, checked, resumed, allow-listed; every refusal says what to do."""

import hashlib
import threading
from pathlib import Path

import pytest
from tests.fakes.hub import FakeHub
from tests.fakes.tiny_files import folder_files
from tests.waiting import wait_until

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.sources.errors import ChecksumMismatch, PullCancelled, SourceFailed
from tramontane.adapters.sources.hub import fetch_hub, list_hub, parse_hub
from tramontane.adapters.sources.transfer import Transfer
from tramontane.foundation.errors import InvalidFields, StorageFull
from tramontane.records.catalog.nouns import HubSource

SOURCE = HubSource(repository="makers/model")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "part" / "files"
    folder.mkdir(parents=True)
    return folder


def fetched(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_listing_is_pinned_and_names_the_licence(hub: FakeHub) -> None:
    repository = hub.add("makers/model", {**folder_files(), "modeling.py": b"import os"}, licence="mit")
    listing = list_hub(SOURCE, hub.url)
    assert (listing.commit, listing.licence, listing.left_out) == (repository.commit, "mit", ("modeling.py",))
    assert listing.size_bytes == sum(len(content) for content in folder_files().values())
    weights = next(file for file in listing.files if file.path == "model.safetensors")
    assert weights.sha256 == hashlib.sha256(folder_files()["model.safetensors"]).hexdigest()


def test_only_allowed_files_are_ever_asked_for(hub: FakeHub, into: Path, reports: list[object]) -> None:
    dangerous = {
        "modeling.py": b"import os",
        "pytorch_model.bin": b"\x80\x04",
        "a/../../x.json": b"{}",
        ".env.json": b"{}",
    }
    repository = hub.add("makers/model", {**folder_files(), **dangerous})
    provenance = fetch_hub(SOURCE, into, hub.url, Transfer(report=reports))  # type: ignore[arg-type]
    assert fetched(into) == folder_files()
    assert provenance.revision == repository.commit
    assert set(provenance.left_out) == set(dangerous)
    assert {path for path, _ in hub.served} == set(folder_files())
    total = sum(len(content) for content in folder_files().values())
    assert reports[-1] == ("fetching", total, total)


def test_patterns_choose_files(hub: FakeHub, into: Path) -> None:
    hub.add("makers/model", {**folder_files(), "consolidated.safetensors": b"x" * 10})
    source = HubSource(repository="makers/model", include=("*.json", "*.safetensors"), exclude=("consolidated*",))
    fetch_hub(source, into, hub.url, Transfer())
    assert "consolidated.safetensors" not in fetched(into)


def test_of_several_forms_one_is_taken(hub: FakeHub, into: Path) -> None:
    doubles = {"consolidated.safetensors": b"x", "model.gguf": b"x", "onnx/model.safetensors": b"x"}
    hub.add("makers/model", {**folder_files(), **doubles})
    provenance = fetch_hub(SOURCE, into, hub.url, Transfer())
    assert fetched(into) == folder_files()
    assert set(provenance.left_out) == set(doubles)


def test_of_several_gguf_files_none_is_guessed_at(hub: FakeHub) -> None:
    hub.add("makers/model", {"a-Q4_K_M.gguf": b"x", "a-Q8_0.gguf": b"x", "mmproj.gguf": b"x"})
    with pytest.raises(FileRefused, match=r"has 2 GGUF files \(a-Q4_K_M\.gguf, a-Q8_0\.gguf\)"):
        list_hub(SOURCE, hub.url)
    assert [file.path for file in list_hub(parse_hub("makers/model#*Q8_0.gguf"), hub.url).files] == ["a-Q8_0.gguf"]


def test_another_choice_of_files_does_not_mix_with_the_first(hub: FakeHub, into: Path) -> None:
    hub.add("makers/model", {"a-Q4_K_M.gguf": b"4" * 9, "a-Q8_0.gguf": b"8" * 9})
    fetch_hub(parse_hub("makers/model#*Q4_K_M.gguf"), into, hub.url, Transfer())
    fetch_hub(parse_hub("makers/model#*Q8_0.gguf"), into, hub.url, Transfer())
    assert fetched(into) == {"a-Q8_0.gguf": b"8" * 9}


def test_a_place_is_read_as_written() -> None:
    assert parse_hub("a/b.c") == HubSource(repository="a/b.c")
    assert parse_hub("a/b@v1.0#x.gguf,*.json") == HubSource(
        repository="a/b", revision="v1.0", include=("x.gguf", "*.json")
    )
    for wrong in ("a", "a/b/c", "a/b#", "a/b@", "", "../x/y", "a/b#x y"):
        with pytest.raises(InvalidFields):
            parse_hub(wrong)


def test_a_broken_transfer_goes_on_within_a_pull(hub: FakeHub, into: Path) -> None:
    files = {**folder_files(), "model.safetensors": bytes(range(256)) * (1 << 17)}
    hub.add("makers/model", files)
    hub.cut_after["model.safetensors"] = 25 << 20
    fetch_hub(SOURCE, into, hub.url, Transfer())
    assert fetched(into) == files
    begun, went_on = [begin for path, begin in hub.served if path == "model.safetensors"]
    assert begun == 0
    assert 0 < went_on <= 25 << 20


def test_a_stopped_pull_goes_on_where_it_stopped(hub: FakeHub, into: Path) -> None:
    files = {**folder_files(), "model.safetensors": bytes(40 << 20)}
    hub.add("makers/model", files)
    stop = threading.Event()

    def stop_in_the_middle(stage: str, done: int, total: int) -> None:
        if done > total // 3:
            stop.set()

    with pytest.raises(PullCancelled, match="go on where it stopped"):
        fetch_hub(SOURCE, into, hub.url, Transfer(report=stop_in_the_middle, stop=stop))
    kept = (into / ".model.safetensors.part").stat().st_size
    assert 0 < kept < 40 << 20
    fetch_hub(SOURCE, into, hub.url, Transfer())
    assert ("model.safetensors", kept) in hub.served
    assert fetched(into) == files


def test_a_stop_is_heard_in_the_middle_of_a_file_on_a_slow_line(hub: FakeHub, into: Path) -> None:
    hub.add("makers/model", {**folder_files(), "model.safetensors": bytes(4 << 20)})
    hub.drips_after["model.safetensors"] = 1 << 20
    part, stop = into / ".model.safetensors.part", threading.Event()

    def stop_once_something_came() -> None:
        try:
            wait_until(lambda: part.exists() and part.stat().st_size > 0)
        except AssertionError:
            hub.go.set()  # nothing came piece by piece: let it end, and the test fail
        else:
            stop.set()

    watching = threading.Thread(target=stop_once_something_came)
    watching.start()
    with pytest.raises(PullCancelled):
        fetch_hub(SOURCE, into, hub.url, Transfer(stop=stop))
    watching.join()
    assert 0 < part.stat().st_size < 4 << 20


def test_a_hub_that_cannot_go_on_starts_again(hub: FakeHub, into: Path, reports: list[tuple[str, int, int]]) -> None:
    hub.add("makers/model", folder_files())
    content = folder_files()["model.safetensors"]
    (into.parent / ".commit").write_text(hub.repositories["makers/model"].commit)
    (into / ".model.safetensors.part").write_bytes(content[:3_000])
    hub.ignores_ranges = True
    fetch_hub(SOURCE, into, hub.url, Transfer(report=reports))  # type: ignore[arg-type]
    assert fetched(into) == folder_files()
    total = sum(len(content) for content in folder_files().values())
    assert reports[-1] == ("fetching", total, total)


def test_a_part_that_was_spoilt_is_found_out(hub: FakeHub, into: Path) -> None:
    hub.add("makers/model", folder_files())
    (into.parent / ".commit").write_text(hub.repositories["makers/model"].commit)
    (into / ".model.safetensors.part").write_bytes(b"x" * 3_000)
    with pytest.raises(ChecksumMismatch):
        fetch_hub(SOURCE, into, hub.url, Transfer())
    fetch_hub(SOURCE, into, hub.url, Transfer())
    assert fetched(into) == folder_files()


def test_what_is_there_is_not_fetched_again(hub: FakeHub, into: Path) -> None:
    hub.add("makers/model", folder_files())
    fetch_hub(SOURCE, into, hub.url, Transfer())
    hub.served.clear()
    fetch_hub(SOURCE, into, hub.url, Transfer())
    assert hub.served == []


def test_files_of_another_commit_are_not_mixed_in(hub: FakeHub, into: Path) -> None:
    hub.add("makers/model", {**folder_files(), "old.json": b"{}"})
    fetch_hub(SOURCE, into, hub.url, Transfer())
    newer = {**folder_files(), "tokenizer.json": b'{"version": "2.0"}'}
    hub.add("makers/model", newer)
    fetch_hub(SOURCE, into, hub.url, Transfer())
    assert fetched(into) == newer


def test_altered_bytes_are_refused_and_thrown_away(hub: FakeHub, into: Path) -> None:
    hub.add("makers/model", folder_files())
    hub.promised_sha256["model.safetensors"] = "0" * 64
    with pytest.raises(ChecksumMismatch, match=f"expected SHA-256 {'0' * 64}, found"):
        fetch_hub(SOURCE, into, hub.url, Transfer())
    assert not list(into.glob("*model.safetensors*"))


def test_weights_that_can_run_code_are_refused(hub: FakeHub, into: Path) -> None:
    files = folder_files()
    del files["model.safetensors"]
    hub.add("makers/model", {**files, "pytorch_model.bin": b"\x80\x04"})
    with pytest.raises(FileRefused, match=r"only as pytorch_model\.bin: such files can run code"):
        fetch_hub(SOURCE, into, hub.url, Transfer())
    assert hub.served == []


def test_a_full_disk_is_noticed_before_the_first_byte(hub: FakeHub, into: Path) -> None:
    hub.add("makers/model", folder_files())
    with pytest.raises(StorageFull, match="has 1,000 bytes free"):
        fetch_hub(SOURCE, into, hub.url, Transfer(free_bytes=lambda folder: 1_000))
    assert hub.served == []


@pytest.mark.parametrize(
    ("source", "cure"),
    [
        (HubSource(repository="makers/other"), "no such repository"),
        (HubSource(repository="makers/model", revision="v9"), "no such revision"),
        (HubSource(repository="not a name"), "write owner/name"),
        (HubSource(repository="makers/gated"), "set HF_TOKEN"),
    ],
)
def test_failures_name_the_cure(hub: FakeHub, into: Path, source: HubSource, cure: str) -> None:
    hub.add("makers/model", folder_files())
    hub.add("makers/gated", folder_files(), gated=True)
    with pytest.raises(SourceFailed, match=cure):
        fetch_hub(source, into, hub.url, Transfer())


def test_a_hub_that_is_not_there(into: Path) -> None:
    with pytest.raises(SourceFailed, match="cannot be reached"):
        fetch_hub(SOURCE, into, "http://127.0.0.1:9", Transfer())
