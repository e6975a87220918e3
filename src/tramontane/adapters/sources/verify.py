"""Checks a model's files against their checksums before they are loaded, and remembers what it has seen.

The first check in a process reads every byte; later ones trust an unchanged size, time and inode. `full` reads again.
"""

import threading
from pathlib import Path, PurePosixPath

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.sources.errors import ChecksumMismatch
from tramontane.adapters.sources.file_rules import WEIGHT_SUFFIXES
from tramontane.adapters.sources.transfer import Counter, Transfer, check_file, sha256_of
from tramontane.records.catalog.nouns import FileSpec, InstalledModel

_Mark = tuple[int, int, int, int]


class Verifier:
    """One per process. Safe from several threads; blocking, so the gateway calls it off its event loop."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[_Mark, str]] = {}
        self._lock = threading.Lock()

    def verify(self, model: InstalledModel, transfer: Transfer, *, full: bool = False) -> None:
        """Check all an engine opens; `full` checks the source weights too and forgets what was seen.

        Raises FileRefused for a missing file and ChecksumMismatch for an altered one, naming it and both numbers.
        """
        wanted = _wanted(model, full)
        with self._lock:
            todo = [(path, spec) for path, spec in wanted if full or not self._is_known(path, spec)]
        missing = [path for path, _ in todo if not path.is_file()]
        if missing:
            raise FileRefused(f"{model.name}: {missing[0]} is gone; pull the model again")
        counter = Counter(transfer, "verifying", sum(path.stat().st_size for path, _ in todo))
        for path, spec in todo:
            self._check(model, path, spec, counter)

    def _check(self, model: InstalledModel, path: Path, spec: FileSpec, counter: Counter) -> None:
        mark = _mark(path)
        found = sha256_of(path, counter)
        try:
            check_file(path, spec, found)
        except ChecksumMismatch as error:
            raise ChecksumMismatch(f"{model.name}: {error.message}") from None
        with self._lock:
            self._seen[path] = (mark, found)

    def _is_known(self, path: Path, spec: FileSpec) -> bool:
        seen = self._seen.get(path)
        return seen is not None and path.is_file() and seen == (_mark(path), spec.sha256)


def _mark(path: Path) -> _Mark:
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _wanted(model: InstalledModel, full: bool) -> list[tuple[Path, FileSpec]]:
    """Once prepared, the source's weights are read by nobody."""
    skip_weights = bool(model.prepared_files) and not full
    source = [
        (Path(model.files_folder) / file.path, file)
        for file in model.files
        if not (skip_weights and PurePosixPath(file.path).suffix.lower() in WEIGHT_SUFFIXES)
    ]
    return [*source, *((Path(model.prepared) / file.path, file) for file in model.prepared_files)]
