"""Brings a model onto this machine: gather, choose an engine, prepare, arrive, register.

Knows the order of the work and nothing of how each step is done: `gather` fetches and checks, and the engines' part
comes in as `Engines`. A pull that fails or is stopped leaves what has arrived, and the next goes on from there.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.sources.bundle import read_manifest
from tramontane.adapters.sources.folders import PREPARED, ModelFolders, forget_progress, read_installed, write_manifest
from tramontane.adapters.sources.gather import Gathered, gather
from tramontane.adapters.sources.summary import FilesSummary, summarise
from tramontane.adapters.sources.transfer import Transfer, arrive, describe
from tramontane.adapters.sources.verify import Verifier
from tramontane.foundation.progress import ProgressReport
from tramontane.records.catalog.engines import choose_engine
from tramontane.records.catalog.errors import NameTaken
from tramontane.records.catalog.nouns import (
    BundleSource,
    CacheShape,
    Capability,
    EngineKind,
    FileSpec,
    HubSource,
    InstalledModel,
    LocalSource,
    ModelEntry,
    Provenance,
    UpstreamSource,
    Visibility,
    WheelSource,
)

_EMBEDDING_ARCHITECTURES = frozenset({"bert", "nomic-bert", "xlm-roberta", "roberta", "mpnet"})
_EVERYBODY = Visibility()


class Prepare(Protocol):
    """Writes the embedded engine's form of `weights` into `folder`, which it creates; nats of distance, or None.

    Weights the engine runs as they came need no such form: then no folder is made.
    """

    def __call__(self, weights: Path, folder: Path, report: ProgressReport) -> float | None: ...


@dataclass(frozen=True)
class Engines:
    """What the engines say about a model. `embedded_refusal` gives None for a model the embedded engine runs."""

    embedded_refusal: Callable[[Path], str | None]
    prepare: Prepare
    llamacpp: bool


@dataclass(frozen=True)
class Request:
    """Who wants a model, for whom, and from which hub when the source names none."""

    visibility: Visibility = _EVERYBODY
    added_by: str = ""
    hub_endpoint: str = ""
    now_ns: int = 0


@dataclass(frozen=True)
class Installer:
    """Pulls models below one data folder. `register` keeps the row; it is called once the files are in place."""

    folders: ModelFolders
    engines: Engines
    register: Callable[[InstalledModel], None]

    def pull(self, entry: ModelEntry, request: Request, transfer: Transfer) -> InstalledModel:
        """Install an entry, or finish or repeat an earlier try. Blocking; run it off the event loop.

        Raises SourceFailed, FileRefused, ChecksumMismatch, NoEngine, StorageFull, Conflict or PullCancelled.
        """
        if isinstance(entry.source, UpstreamSource):
            return self._register(_upstream(entry, entry.source, request))
        with self.folders.pulling(entry.name) as part:
            present = self._present(entry, request, transfer)
            if present is not None:
                return self._register(present)
            model = self._install(entry, part, request, transfer)
            final = self.folders.final(entry.name)
            shutil.rmtree(final, ignore_errors=True)
            write_manifest(part, model)
            forget_progress(part)
            arrive(part, final)
            return self._register(model)

    def _register(self, model: InstalledModel) -> InstalledModel:
        self.register(model)
        return model

    def _present(self, entry: ModelEntry, request: Request, transfer: Transfer) -> InstalledModel | None:
        """The model as an earlier pull left it, if it is still sound."""
        present = read_installed(self.folders.final(entry.name))
        if present is None:
            return None
        if present.visibility != request.visibility:
            raise NameTaken(f"a model {entry.name!r} is installed; choose another name", param="name")
        if present.entry.source != entry.source:
            return None
        try:
            Verifier().verify(present, transfer, full=True)
        except FileRefused:
            return None
        return present

    def _install(self, entry: ModelEntry, part: Path, request: Request, transfer: Transfer) -> InstalledModel:
        shutil.rmtree(part / PREPARED, ignore_errors=True)
        got = gather(entry, part, self.folders.wheels, request.hub_endpoint, transfer)
        summary = summarise(got.folder, tuple(file.path for file in got.files))
        refusal = self.engines.embedded_refusal(summary.weights)
        engine = choose_engine(entry.name, summary.architecture, summary.file_format, refusal, self.engines.llamacpp)
        prepared = self._prepare(engine, summary, part, transfer)
        return _installed(entry, request, got, prepared, self.folders.final(entry.name))

    def _prepare(self, engine: EngineKind, summary: FilesSummary, part: Path, transfer: Transfer) -> "_Prepared":
        if engine != "openvino":
            return _Prepared(engine, summary)
        transfer.check()
        transfer.require_room(part, summary.parameters, "preparing the model")

        def report(stage: str, done: int, total: int) -> None:
            transfer.check()
            transfer.report(stage, done, total)

        distance_nats = self.engines.prepare(summary.weights, part / PREPARED, report)
        written = (part / PREPARED).is_dir()
        return _Prepared(engine, summary, describe(part / PREPARED, transfer) if written else (), distance_nats)


@dataclass(frozen=True)
class _Prepared:
    """What the chosen engine made of the files."""

    engine: EngineKind
    summary: FilesSummary
    files: tuple[FileSpec, ...] = ()
    distance_nats: float | None = None


def _installed(entry: ModelEntry, request: Request, got: Gathered, prepared: _Prepared, final: Path) -> InstalledModel:
    summary = prepared.summary
    lasting = final / got.folder.name if got.is_own else got.folder
    return InstalledModel(
        entry=_completed(entry, summary, got.files),
        visibility=request.visibility,
        engine=prepared.engine,
        state="ready",
        folder=str(final),
        files_folder=str(lasting),
        weights=str(lasting / summary.weights.relative_to(got.folder)),
        architecture=summary.architecture,
        files=got.files,
        provenance=got.provenance,
        sha256=_whole_sha256(got.files),
        size_bytes=sum(file.size_bytes for file in got.files),
        context_tokens=entry.context_tokens or summary.context_tokens,
        cache=summary.cache,
        prepared=str(final / PREPARED) if prepared.files else "",
        prepared_files=prepared.files,
        distance_nats=prepared.distance_nats,
        added_by=request.added_by,
        added_ns=request.now_ns,
    )


def draft_entry(name: str, source: LocalSource | HubSource | WheelSource, licence: str) -> ModelEntry:
    """An entry for a model the catalogue does not know; the pull fills in what the files say of themselves."""
    return ModelEntry(name=name, family="", description="", licence=licence, source=source, formats=(), capabilities=())


def bundle_entry(path: Path, name: str = "") -> ModelEntry:
    """The entry a bundle carries, to be pulled from it. Raises SourceFailed or FileRefused."""
    manifest = read_manifest(path)
    return msgspec.structs.replace(
        manifest.entry,
        name=name or manifest.entry.name,
        source=BundleSource(path=str(path.absolute())),
        files=manifest.files,
    )


def _completed(entry: ModelEntry, summary: FilesSummary, files: tuple[FileSpec, ...]) -> ModelEntry:
    """What an entry leaves open, taken from the files."""
    capabilities: tuple[Capability, ...] = entry.capabilities
    if not entry.family and not capabilities:
        embeds = summary.architecture in _EMBEDDING_ARCHITECTURES
        capabilities = ("embedding",) if embeds else ("chat",) if summary.has_chat_template else ()
    return msgspec.structs.replace(
        entry,
        family=entry.family or summary.architecture,
        description=entry.description or f"A {summary.architecture} model added by hand.",
        formats=entry.formats or (summary.file_format,),
        capabilities=capabilities,
        parameters=entry.parameters or summary.parameters,
        size_bytes=sum(file.size_bytes for file in files),
        context_tokens=entry.context_tokens or summary.context_tokens,
        tokenizer="gguf" if summary.file_format == "gguf" and not entry.family else entry.tokenizer,
    )


def _upstream(entry: ModelEntry, source: UpstreamSource, request: Request) -> InstalledModel:
    return InstalledModel(
        entry=entry,
        visibility=request.visibility,
        engine="upstream",
        state="ready",
        folder="",
        files_folder="",
        weights="",
        architecture=entry.family,
        files=(),
        provenance=Provenance(source=source),
        sha256="",
        size_bytes=0,
        context_tokens=entry.context_tokens,
        cache=CacheShape(),
        added_by=request.added_by,
        added_ns=request.now_ns,
    )


def _whole_sha256(files: tuple[FileSpec, ...]) -> str:
    """One checksum for a model: the file's own, or that of the list of all."""
    if len(files) == 1:
        return files[0].sha256
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()
