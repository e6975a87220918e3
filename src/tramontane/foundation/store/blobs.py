"""Files too large for the database, in a folder or any object store fsspec knows, each inside its workspace's own path.

A file is there whole or not at all. Knows no meaning of the bytes; the rows that name a blob keep its SHA-256. Blocking.
"""

import hashlib
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

import msgspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from tramontane.foundation.errors import BadRequest, NotFound, TooLarge
from tramontane.foundation.ids import random_word
from tramontane.foundation.store.disk import flush, translated
from tramontane.foundation.store.scope import Scope

PIECE_BYTES = 1024 * 1024
PARTIAL = ".partial-"
MAX_DEPTH = 8
_PART = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z._-]{0,127}", re.ASCII)


class Blob(msgspec.Struct, frozen=True):
    """A stored file: its path (organisation/workspace/name), how long it is, and what it must hash to."""

    path: str
    size_bytes: int
    sha256: str


class Blobs:
    """One blob store. Names are parts of letters, digits, `.`, `_` and `-`, joined by `/`."""

    def __init__(self, url: str) -> None:
        self._files, self._root = url_to_fs(url)
        self._is_local = isinstance(self._files, LocalFileSystem)

    def put(self, scope: Scope, name: str, source: IO[bytes], *, limit_bytes: int | None = None) -> Blob:
        """Store everything `source` gives under `name`, in place of what was there.

        Raises BadRequest for the name, TooLarge beyond `limit_bytes`, StorageFull; nothing is then stored.
        """
        return self.put_path(path_of(scope, name), source, limit_bytes=limit_bytes)

    def open(self, scope: Scope, name: str) -> BinaryIO:
        """The file for reading. Raises NotFound, also where another workspace has one of that name."""
        return self.open_path(path_of(scope, name))

    def delete(self, scope: Scope, name: str) -> None:
        """Remove the file; one that is not there is no error."""
        with translated(), suppress(FileNotFoundError):
            self._files.rm_file(self._at(path_of(scope, name)))

    def names(self, scope: Scope) -> list[str]:
        """The names of one workspace."""
        prefix = f"{scope.organisation_id}/{scope.workspace_id}/"
        return [path.removeprefix(prefix) for path in self._below(path_of(scope, "x").rsplit("/", 1)[0])]

    def paths(self) -> list[str]:
        """Every file of every workspace; for backup alone."""
        return self._below("")

    def open_path(self, path: str) -> BinaryIO:
        """As `open`, by the whole path; for backup alone."""
        try:
            with translated():
                return cast(BinaryIO, self._files.open(self._at(path), "rb"))
        except FileNotFoundError:
            raise NotFound(f"no file {path.split('/', 2)[-1]}") from None

    def put_path(self, path: str, source: IO[bytes], *, limit_bytes: int | None = None) -> Blob:
        """As `put`, by the whole path; for restoring alone."""
        with translated():
            return (
                self._put_local(path, source, limit_bytes) if self._is_local else self._send(path, source, limit_bytes)
            )

    def delete_path(self, path: str) -> None:
        """As `delete`, by the whole path; for restoring alone."""
        with translated(), suppress(FileNotFoundError):
            self._files.rm_file(self._at(path))

    def _put_local(self, path: str, source: IO[bytes], limit_bytes: int | None) -> Blob:
        target = Path(self._at(path))
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = target.with_name(PARTIAL + random_word(12))
        try:
            with partial.open("xb") as file:
                partial.chmod(0o600)
                size_bytes, sha256 = _copy(source, file, limit_bytes)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        flush(target.parent)
        return Blob(path, size_bytes, sha256)

    def _send(self, path: str, source: IO[bytes], limit_bytes: int | None) -> Blob:
        """Object stores show a file once it is complete; it is gathered here so that a broken source sends nothing."""
        with tempfile.NamedTemporaryFile() as file:
            size_bytes, sha256 = _copy(source, file, limit_bytes)
            file.flush()
            self._files.makedirs(self._files._parent(self._at(path)), exist_ok=True)
            self._files.put_file(file.name, self._at(path))
        return Blob(path, size_bytes, sha256)

    def _below(self, path: str) -> list[str]:
        root = self._files._strip_protocol(self._root)
        with translated():
            found = self._files.find(self._at(path) if path else root)
        inside = [str(PurePosixPath(item).relative_to(root)) for item in found]
        return sorted(item for item in inside if not PurePosixPath(item).name.startswith(PARTIAL))

    def _at(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{checked_path(path)}"


def path_of(scope: Scope, name: str) -> str:
    """Where a workspace's file lies. Raises BadRequest for a name that could lead elsewhere."""
    return checked_path(f"{_part(scope.organisation_id)}/{_part(scope.workspace_id)}/{name}")


def checked_path(path: str) -> str:
    """The path itself. Raises BadRequest for one that could lead elsewhere."""
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        raise BadRequest(f"a file name has at most {MAX_DEPTH - 2} parts", param="name")
    return "/".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if not _PART.fullmatch(part):
        raise BadRequest(
            "a file name takes letters, digits, '.', '_' and '-', and does not begin with '.'", param="name"
        )
    return part


def _copy(source: IO[bytes], target: IO[bytes], limit_bytes: int | None) -> tuple[int, str]:
    digest, size_bytes = hashlib.sha256(), 0
    while piece := _piece(source):
        size_bytes += len(piece)
        if limit_bytes is not None and size_bytes > limit_bytes:
            raise TooLarge(f"the file is longer than {limit_bytes} bytes; send a shorter one", param="file")
        digest.update(piece)
        target.write(piece)
    return size_bytes, digest.hexdigest()


def _piece(source: IO[bytes]) -> bytes:
    try:
        return source.read(PIECE_BYTES)
    except OSError as error:
        raise BadRequest("the file broke off before its end; send it again", param="file") from error
