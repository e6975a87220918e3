"""Where models lie below the data folder: one folder each, beside it those still arriving.

`models/NAME/` holds `files/`, `prepared/` and `manifest.json`; `models/.part/NAME/` the same while it arrives. Knows
paths and the lock that lets one pull of a model run at a time.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tramontane.adapters.formats.errors import FileRefused
from tramontane.foundation.errors import Conflict
from tramontane.records.catalog.aliases import checked_name
from tramontane.records.catalog.nouns import InstalledModel

MANIFEST = "manifest.json"
FILES = "files"
PREPARED = "prepared"
GATHERED = ".gathered.json"
COMMIT = ".commit"


@dataclass(frozen=True)
class ModelFolders:
    """The layout below one data folder."""

    home: Path

    @property
    def root(self) -> Path:
        """All models."""
        return self.home / "models"

    @property
    def wheels(self) -> Path:
        """Wheels fetched and not yet unpacked."""
        return self.home / "cache" / "wheels"

    def final(self, name: str) -> Path:
        """Where a model lies once it is whole."""
        return self.root / checked_name(name)

    def part(self, name: str) -> Path:
        """Where a model gathers."""
        return self.root / ".part" / checked_name(name)

    def copied(self, path: Path) -> InstalledModel | None:
        """The model whose own folder lies whole at `path` below this data folder, as after somebody copied it there."""
        present = read_installed(path) if path.parent == self.root else None
        return present if present is not None and present.name == path.name else None

    @contextmanager
    def pulling(self, name: str) -> Iterator[Path]:
        """Hold a model's arrival folder; it stays if the block fails. Raises Conflict when another pull holds it."""
        with self._held(name) as part:
            (part / FILES).mkdir(parents=True, exist_ok=True)
            yield part

    def partial_bytes(self) -> dict[str, int]:
        """What pulls that have not ended well hold on the disk, by model; a running one counts too."""
        parts = self.root / ".part"
        found = parts.iterdir() if parts.is_dir() else ()
        sizes = {path.name: _bytes_below(path) for path in found if path.is_dir() and not path.name.startswith(".")}
        return {name: size for name, size in sizes.items() if size}

    def drop_partial(self, name: str) -> int:
        """Delete what a pull that did not end well has left; gives its bytes. Raises Conflict while a pull holds it."""
        if not self.part(name).exists():
            return 0
        with self._held(name) as part:
            size = _bytes_below(part)
            shutil.rmtree(part, ignore_errors=True)
        return size

    @contextmanager
    def _held(self, name: str) -> Iterator[Path]:
        part = self.part(name)
        part.parent.mkdir(parents=True, exist_ok=True)
        with (part.parent / f".{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Conflict(f"{name} is being pulled already; wait for it or stop it", param="name") from None
            yield part

    def remove(self, model: InstalledModel) -> None:
        """Delete a model's own folder; files it only refers to stay. Out of sight at once, then deleted."""
        folder = Path(model.folder) if model.folder else None
        if folder is None or folder.parent != self.root or not folder.exists():
            return
        doomed = self.root / f".removed-{folder.name}"
        shutil.rmtree(doomed, ignore_errors=True)
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _bytes_below(folder: Path) -> int:
    """Of all files; those that go away meanwhile are not counted."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += (Path(place) / name).lstat().st_size
    return size


def forget_progress(part: Path) -> None:
    """Drop the notes of a pull that is complete."""
    for name in (GATHERED, COMMIT):
        (part / name).unlink(missing_ok=True)


def write_manifest(folder: Path, model: InstalledModel) -> None:
    """Keep a model's description beside its files."""
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(model)))


def read_installed(folder: Path) -> InstalledModel | None:
    """The description beside a model's files, its paths as they are now; None without one. Raises FileRefused.

    A data folder that has been moved or restored elsewhere still knows its models.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        model = msgspec.json.decode(path.read_bytes(), type=InstalledModel)
    except msgspec.DecodeError as error:
        raise FileRefused(f"{path}: not sound ({error}); remove the model and pull it again") from None
    return model if model.folder == str(folder) else _moved(model, Path(model.folder), folder)


def _moved(model: InstalledModel, before: Path, now: Path) -> InstalledModel:
    def here(text: str) -> str:
        path = Path(text)
        return str(now / path.relative_to(before)) if text and path.is_relative_to(before) else text

    return msgspec.structs.replace(
        model,
        folder=str(now),
        files_folder=here(model.files_folder),
        weights=here(model.weights),
        prepared=here(model.prepared),
    )
