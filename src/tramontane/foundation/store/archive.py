"""Knows our backup file: a tar of one JSON-lines file per table, the blobs, and last a manifest with counts and hashes.

Readable on either database, and by anybody with tar. What comes in is not trusted: names, sizes and hashes are checked.
"""

import hashlib
import re
import tarfile
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

import msgspec
from sqlalchemy import Boolean, Float, Integer, LargeBinary, String, Table

from tramontane.foundation.errors import BadRequest

FORMAT = 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 256 * 1024 * 1024
PIECE_BYTES = 1024 * 1024
_TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_PORTABLE = (String, Integer, Boolean, Float, LargeBinary)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Any])


class TableEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table: its columns in the order of each line, how many lines, the file's hash, and the rows' in any order."""

    columns: list[str]
    rows: int
    sha256: str
    content: str


class BlobEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an archive must hold; `revision` is the last migration its tables had taken."""

    format: int
    revision: str
    created_ns: int
    tables: dict[str, TableEntry]
    blobs: dict[str, BlobEntry]


class ContentHash:
    """A hash over a set of rows that does not depend on their order: the sum of the rows' SHA-256."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, line: bytes) -> None:
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(line).digest(), "big")) % 2**256

    def hexdigest(self) -> str:
        return f"{self._sum:064x}"


def columns_of(table: Table) -> list[str]:
    """Its columns in the order of a line. Raises TypeError for one whose type is not the same on both databases."""
    for column in table.columns:
        if not isinstance(column.type, _PORTABLE):
            raise TypeError(f"{table.name}.{column.name} cannot be backed up; use text, whole numbers or bytes")
    return sorted(str(column.name) for column in table.columns)


def to_line(values: Iterable[Any]) -> bytes:
    """One row as JSON, bytes as base64."""
    return _encoder.encode(list(values))


class LineReader:
    """Reads the lines of one table back into rows."""

    def __init__(self, table: Table, columns: list[str]) -> None:
        missing = set(columns) - {column.name for column in table.columns}
        if missing:
            raise BadRequest(f"the backup has columns this release does not know: {table.name}.{min(missing)}")
        self._name = table.name
        self._columns = columns
        self._bytes = [name for name in columns if isinstance(table.c[name].type, LargeBinary)]

    def row(self, line: bytes) -> dict[str, Any]:
        """Raises BadRequest when the line does not fit the table."""
        try:
            row = dict(zip(self._columns, _decoder.decode(line), strict=True))
            for name in self._bytes:
                if row[name] is not None:
                    row[name] = b64decode(row[name], validate=True)
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            raise BadRequest(f"the backup's rows do not fit table {self._name}: {error}") from None
        return row


def read_manifest(archive: tarfile.TarFile) -> Manifest:
    """The manifest. Raises BadRequest when there is none, or one of another format."""
    member = archive.getmember(MANIFEST) if MANIFEST in archive.getnames() else None
    file = archive.extractfile(member) if member is not None and member.size <= MAX_MANIFEST_BYTES else None
    if file is None:
        raise BadRequest("this is not a backup of ours, or one that was cut off: it has no manifest")
    try:
        manifest = msgspec.json.decode(file.read(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the backup's manifest is damaged: {error}") from None
    if manifest.format != FORMAT:
        raise BadRequest(f"the backup has format {manifest.format}, this release reads {FORMAT}; use a newer release")
    if not all(_TABLE.fullmatch(name) for name in manifest.tables):
        raise BadRequest("the backup's manifest names a table that cannot be")
    return manifest


def verify(archive: tarfile.TarFile, manifest: Manifest) -> Iterator[str]:
    """Hash every file the manifest names, yielding each name once it is sound. Raises BadRequest for the first that is not."""
    names = set(archive.getnames())
    for name, sha256 in expected(manifest).items():
        file = archive.extractfile(name) if name in names else None
        if file is None:
            raise BadRequest(f"the backup is incomplete: {name} is missing")
        found = sha256_of(file)
        if found != sha256:
            raise BadRequest(f"the backup is damaged: {name} hashes to {found}, expected {sha256}")
        yield name


def expected(manifest: Manifest) -> Mapping[str, str]:
    """The SHA-256 of each member."""
    tables = {table_member(name): entry.sha256 for name, entry in manifest.tables.items()}
    return tables | {blob_member(path): entry.sha256 for path, entry in manifest.blobs.items()}


def table_member(name: str) -> str:
    return f"tables/{name}.jsonl"


def blob_member(path: str) -> str:
    return f"blobs/{path}"


def sha256_of(file: IO[bytes]) -> str:
    """The hash of what is left to read."""
    digest = hashlib.sha256()
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()
