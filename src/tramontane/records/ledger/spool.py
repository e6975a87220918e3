"""Knows the files in which receipts wait for the database, so that a killed gateway owes none. Knows no SQL.

Each process has a folder of its own and holds a lock on it while it lives; the folder of a dead one is found by the next.
An appended frame survives `kill -9` at once and a power cut once the database has it, which is within one batch.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from tramontane.foundation.ids import random_word
from tramontane.records.ledger.frames import Entry, entries, frame

LOCK = "lock"
SUFFIX = ".frames"
UNFINISHED = ".new-"


class Spool:
    """The files of this process. `append` writes to the newest; `rotate` opens the next; `drop` removes settled ones."""

    def __init__(self, folder: Path) -> None:
        self._parent = folder
        self._folder = folder / random_word(12)
        self._lock = _claim(self._folder)
        self._count = 0
        self._size = 0
        self._file = self._open()

    def append(self, entry: Entry) -> None:
        """Add one entry. Raises OSError when the disk takes none; then the file is as it was before."""
        data = frame(entry)
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(errno.ENOSPC, "no room for a whole receipt")
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)

    def rotate(self, carried: Iterable[Entry]) -> Path:
        """Begin the next file with `carried`, what is still open; gives the one before. Raises OSError, then nothing changed."""
        before, name, size = self._file, self._name(self._count), self._size
        self._count += 1
        self._size = 0
        try:
            self._file = self._open()
            for entry in carried:
                self.append(entry)
        except OSError:
            self._undo(before, size)
            raise
        os.close(before)
        return name

    def drop(self, files: Iterable[Path]) -> None:
        """Remove files whose receipts are in the database."""
        for path in files:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the folder up, and remove it when nothing waits in it."""
        os.close(self._file)
        waiting = [path for path in self._folder.glob("*" + SUFFIX) if path.stat().st_size]
        if not waiting:
            shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)

    def orphans(self) -> list["Orphan"]:
        """The folders that dead processes left, each held by us from now on."""
        names = sorted(path for path in self._parent.iterdir() if not path.name.startswith(UNFINISHED))
        others = [path for path in names if path.is_dir() and path != self._folder]
        return [orphan for orphan in map(Orphan.take, others) if orphan is not None]

    def _undo(self, before: int, size: int) -> None:
        if self._file != before:
            os.close(self._file)
            self._name(self._count).unlink(missing_ok=True)
        self._count -= 1
        self._file, self._size = before, size

    def _open(self) -> int:
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC
        return os.open(self._name(self._count), flags, 0o600)

    def _name(self, count: int) -> Path:
        return self._folder / f"{count:012d}{SUFFIX}"


def _claim(folder: Path) -> int:
    """Make a locked folder; it gets its name only once it is locked, so that nobody takes it for a dead process's."""
    unfinished = folder.with_name(UNFINISHED + folder.name)
    unfinished.mkdir(parents=True, mode=0o700)
    lock = os.open(unfinished / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    unfinished.rename(folder)
    return lock


class Orphan:
    """What a dead process left: read it, put it into the database, then remove it."""

    def __init__(self, folder: Path, lock: int) -> None:
        self._folder = folder
        self._lock = lock

    @classmethod
    def take(cls, folder: Path) -> "Orphan | None":
        """The folder, unless its process still lives or another has taken it."""
        try:
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        return cls(folder, lock)

    def entries(self) -> Iterator[Entry]:
        """Every whole entry, oldest first."""
        for path in sorted(self._folder.glob("*" + SUFFIX)):
            with path.open("rb") as file:
                yield from entries(file)

    def remove(self) -> None:
        """Forget it; its receipts are in the database."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)

    def release(self) -> None:
        """Leave it for a later try."""
        os.close(self._lock)
