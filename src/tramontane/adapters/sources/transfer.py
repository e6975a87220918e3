"""The moves every source shares: reporting, stopping, room on the disk, checksums, and arriving whole or not at all.

Knows files and folders, nothing of where they come from. A model is gathered in a `.part` folder that survives a
failure, is flushed to the disk, and is renamed into place as the last act.
"""

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tramontane.adapters.sources.errors import ChecksumMismatch, PullCancelled
from tramontane.foundation.errors import StorageFull
from tramontane.foundation.progress import ProgressReport, silent
from tramontane.foundation.sizes import size_text
from tramontane.foundation.store.disk import flush
from tramontane.records.catalog.nouns import FileSpec

READ_BYTES = 1 << 20
DISK_RESERVE_BYTES = 256_000_000
_REPORT_EVERY_BYTES = 4 << 20


@dataclass(frozen=True)
class Transfer:
    """One pull's connections to whoever waits for it. `stop` may be set from any thread."""

    report: ProgressReport = silent
    stop: threading.Event = field(default_factory=threading.Event)
    free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free

    def check(self) -> None:
        """Raises PullCancelled once somebody has asked to stop."""
        if self.stop.is_set():
            raise PullCancelled("the pull was stopped; start it again to go on where it stopped")

    def require_room(self, folder: Path, size_bytes: int, what: str) -> None:
        """Raises StorageFull with both numbers when `folder`'s disk would be left nearly full."""
        folder.mkdir(parents=True, exist_ok=True)
        free = self.free_bytes(folder)
        if size_bytes + DISK_RESERVE_BYTES > free:
            raise StorageFull(
                f"{what} needs {size_text(size_bytes)} and {size_text(DISK_RESERVE_BYTES)} to spare, the disk of "
                f"{folder} has {size_text(free)} free; free some or set TRAMONTANE_HOME to a larger disk"
            )


class Counter:
    """Bytes so far of a known or unknown whole; reports every few megabytes and notices a stop."""

    def __init__(self, transfer: Transfer, stage: str, total_bytes: int, done_bytes: int = 0) -> None:
        self._transfer = transfer
        self._stage = stage
        self._total = total_bytes
        self._done = done_bytes
        self._reported = done_bytes
        transfer.report(stage, done_bytes, total_bytes)

    def add(self, size_bytes: int) -> None:
        """That many more bytes. Raises PullCancelled."""
        self._transfer.check()
        self._done += size_bytes
        if self._done - self._reported >= _REPORT_EVERY_BYTES or self._done == self._total:
            self._reported = self._done
            self._transfer.report(self._stage, self._done, self._total)


class CountedFile:
    """A file that tells a counter about every write; all a downloader needs to be watched and stopped."""

    def __init__(self, file: BinaryIO, counter: Counter) -> None:
        self._file = file
        self._counter = counter

    def write(self, data: bytes) -> int:
        """Write, then count."""
        written = self._file.write(data)
        self._counter.add(written)
        return written

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as the file does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where the next byte goes."""
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        """Cut the file, and take back what was counted beyond."""
        before = os.fstat(self._file.fileno()).st_size
        after = self._file.truncate(size)
        self._counter.add(after - max(before, after))
        return after


def copy_stream(source: BinaryIO, target: BinaryIO, counter: Counter, limit_bytes: int) -> str:
    """Copy to the end of `source`, at most `limit_bytes`; the SHA-256 of what was copied, hexadecimal."""
    digest = hashlib.sha256()
    left = limit_bytes
    while left > 0 and (piece := source.read(min(READ_BYTES, left))):
        digest.update(piece)
        target.write(piece)
        counter.add(len(piece))
        left -= len(piece)
    return digest.hexdigest()


def sha256_of(path: Path, counter: Counter | None = None) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
            if counter is not None:
                counter.add(len(piece))
    return digest.hexdigest()


def check_file(path: Path, expected: FileSpec, found_sha256: str) -> None:
    """Raises ChecksumMismatch with both numbers when size or checksum differ."""
    size = path.stat().st_size
    if size != expected.size_bytes:
        raise ChecksumMismatch(
            f"{expected.path}: expected {expected.size_bytes:,} bytes, found {size:,}; fetch the model again"
        )
    if found_sha256 != expected.sha256:
        raise ChecksumMismatch(
            f"{expected.path}: expected SHA-256 {expected.sha256}, found {found_sha256}; fetch the model again, and do "
            "not trust the source if it stays so"
        )


def files_below(folder: Path) -> Iterator[Path]:
    """Every plain file below a folder, in order; hidden files and folders, and links, are left out."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            yield from files_below(path)
        elif path.is_file():
            yield path


def describe(folder: Path, transfer: Transfer, names: Iterable[str] | None = None) -> tuple[FileSpec, ...]:
    """Names, sizes and checksums of the named files of a folder, or of all below it."""
    paths = list(files_below(folder)) if names is None else [folder / name for name in names]
    counter = Counter(transfer, "checking", sum(path.stat().st_size for path in paths))
    return tuple(
        FileSpec(
            path=path.relative_to(folder).as_posix(), size_bytes=path.stat().st_size, sha256=sha256_of(path, counter)
        )
        for path in paths
    )


def arrive(part: Path, final: Path) -> None:
    """Flush everything below `part` to the disk and rename it to `final`, which must not exist."""
    for path in part.rglob("*"):
        if path.is_file() and not path.is_symlink():
            flush(path)
    for path in (*(path for path in part.rglob("*") if path.is_dir()), part):
        flush(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    part.rename(final)
    flush(final.parent)
