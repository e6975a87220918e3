"""A model in one tar archive, for machines without a network: written from an installed model, read back checked.

Knows the archive's layout: `manifest.json` first, then every file it lists, with size and SHA-256. Nothing else in an
archive is read, and no name in it is trusted as a path before the allow-list has passed it.
"""

import hashlib
import tarfile
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import msgspec

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.sources.errors import SourceFailed
from tramontane.adapters.sources.file_rules import is_allowed
from tramontane.adapters.sources.transfer import Counter, Transfer, check_file, copy_stream
from tramontane.foundation.store.disk import flush
from tramontane.records.catalog.nouns import FileSpec, InstalledModel, ModelEntry, Provenance

BUNDLE_VERSION = 1
MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 16 * 1024 * 1024
_FOLDER = "files"


class BundleManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds and where its files first came from."""

    version: int
    entry: ModelEntry
    provenance: Provenance
    files: tuple[FileSpec, ...]


def export_bundle(model: InstalledModel, target: Path, transfer: Transfer) -> Path:
    """Write an installed model's source files to `target`. The archive appears whole or not at all.

    Raises SourceFailed when the target exists, ChecksumMismatch when a file is not what was installed.
    """
    if target.exists():
        raise SourceFailed(f"{target} exists; choose another name or remove it")
    root = _files_root(model)
    total = sum(file.size_bytes for file in model.files)
    transfer.require_room(target.parent, total, f"the bundle of {model.name}")
    manifest = BundleManifest(version=BUNDLE_VERSION, entry=model.entry, provenance=model.provenance, files=model.files)
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as raw, tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
            _add_bytes(archive, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            counter = Counter(transfer, "writing", total)
            for file in model.files:
                _add_file(archive, root / file.path, file, counter)
        flush(part)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def read_manifest(path: Path) -> BundleManifest:
    """What an archive says it holds. Raises SourceFailed or FileRefused."""
    with _opened(path) as archive:
        return _manifest(archive, path)


def fetch_bundle(path: Path, into: Path, transfer: Transfer) -> BundleManifest:
    """Unpack an archive's files to `into`, each checked. Raises FileRefused, ChecksumMismatch or StorageFull."""
    with _opened(path) as archive:
        manifest = _manifest(archive, path)
        total = sum(file.size_bytes for file in manifest.files)
        transfer.require_room(into, total, f"unpacking {path.name}")
        counter = Counter(transfer, "unpacking", total)
        for file in manifest.files:
            try:
                _unpack(archive, path, file, into, counter)
            except (tarfile.TarError, EOFError) as error:
                raise FileRefused(f"{path.name}: cut short or damaged ({error}); copy the bundle again") from None
    return manifest


def _unpack(archive: tarfile.TarFile, path: Path, file: FileSpec, into: Path, counter: Counter) -> None:
    if not is_allowed(file.path):
        raise FileRefused(f"{path.name}: {file.path[:80]!r} may not be part of a model; do not trust this bundle")
    try:
        member = archive.getmember(f"{_FOLDER}/{file.path}")
    except KeyError:
        raise FileRefused(f"{path.name}: {file.path} is listed and not there; copy the bundle again") from None
    read = archive.extractfile(member) if member.isfile() else None
    if read is None:
        raise FileRefused(f"{path.name}: {file.path} is not a plain file; do not trust this bundle")
    target = into / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with read, target.open("wb") as write:
        found = copy_stream(read, write, counter, file.size_bytes)  # type: ignore[arg-type]
    check_file(target, file, found)


def _opened(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:")
    except (tarfile.TarError, EOFError) as error:
        raise FileRefused(f"{path.name}: not a bundle ({error}); copy it again") from None
    except OSError as error:
        raise SourceFailed(f"{path}: {error.strerror or error}; check the path") from None


def _manifest(archive: tarfile.TarFile, path: Path) -> BundleManifest:
    try:
        first = archive.next()
        read = archive.extractfile(first) if first is not None and first.name == MANIFEST else None
        if first is None or read is None or first.size > _MAX_MANIFEST_BYTES:
            raise FileRefused(f"{path.name}: does not begin with {MANIFEST}; this is not a model bundle")
        manifest = msgspec.json.decode(read.read(), type=BundleManifest)
    except (tarfile.TarError, msgspec.DecodeError, EOFError) as error:
        raise FileRefused(f"{path.name}: {MANIFEST} is not sound ({error}); copy the bundle again") from None
    if manifest.version != BUNDLE_VERSION:
        raise FileRefused(f"{path.name}: bundle version {manifest.version}, this release reads {BUNDLE_VERSION}")
    return manifest


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, BytesIO(data))


def _add_file(archive: tarfile.TarFile, path: Path, file: FileSpec, counter: Counter) -> None:
    info = tarfile.TarInfo(f"{_FOLDER}/{file.path}")
    info.size = file.size_bytes
    if path.stat().st_size != file.size_bytes:
        check_file(path, file, "")
    with path.open("rb") as read:
        watched = _Watched(read, counter)
        archive.addfile(info, watched)
    if watched.sha256 != file.sha256:
        check_file(path, file, watched.sha256)


class _Watched:
    """A file being read into an archive, counted and hashed on the way."""

    def __init__(self, file: BinaryIO, counter: Counter) -> None:
        self._file = file
        self._counter = counter
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        self._counter.add(len(data))
        return data

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _files_root(model: InstalledModel) -> Path:
    if not model.files:
        raise SourceFailed(f"{model.name} has no files here; it is served by {model.engine}")
    return Path(model.files_folder)
