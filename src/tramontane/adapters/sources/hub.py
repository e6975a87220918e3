"""A model from a hub that speaks the Hugging Face protocol, at any address: listed, pinned, fetched, resumable.

Knows the hub's client library. The revision is resolved to a commit before the first byte, every large file is checked
against the checksum the hub keeps for that commit, and only allow-listed file names are ever asked for. The library's
own download forgets a broken transfer, so the bytes are kept here and asked for from where they end.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, tqdm

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.sources.errors import ChecksumMismatch, SourceFailed
from tramontane.adapters.sources.file_rules import is_safe_path, one_model, require_weights, select
from tramontane.adapters.sources.folders import COMMIT
from tramontane.adapters.sources.transfer import CountedFile, Counter, Transfer, check_file, sha256_of
from tramontane.foundation.errors import InvalidFields, TramontaneError
from tramontane.foundation.store.disk import flush
from tramontane.records.catalog.nouns import FileSpec, HubSource, Provenance

_LISTING_TIMEOUT_S = 30
_MAX_FILES = 10_000
_PIECE_BYTES = 128 * 1024
_PART = ".part"
_PLACE = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?:#(?P<include>[\w.*?,/-]+))?")

# The library hands over ten megabytes at a time. On a slow line that is as long as a stop would wait and progress stand
# still, and all of it is lost when the line breaks; it has no other way to say so.
constants.DOWNLOAD_CHUNK_SIZE = _PIECE_BYTES


@dataclass(frozen=True)
class RemoteFile:
    """One file of a pinned revision; `sha256` "" for small files, which the hub keeps in git."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Listing:
    """A repository at one commit: what will be fetched, what will not, and the licence its card names."""

    commit: str
    files: tuple[RemoteFile, ...]
    left_out: tuple[str, ...]
    licence: str = ""

    @property
    def size_bytes(self) -> int:
        """Bytes that will be fetched."""
        return sum(file.size_bytes for file in self.files)


class _Silent(tqdm):
    """The library's progress bar, switched off: progress is counted where the bytes are written."""

    def __init__(self, *args: object, **options: object) -> None:
        options["disable"] = True
        super().__init__(*args, **options)


def parse_hub(text: str) -> HubSource:
    """Read `owner/name`, `owner/name@revision` and `owner/name#pattern` (which files, several with commas).

    Raises InvalidFields for anything else.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidFields.of(
            "place", f"{text[:120]!r}: write owner/name, owner/name@revision or owner/name#*Q8_0.gguf"
        )
    include = tuple(part for part in (found["include"] or "").split(",") if part)
    return HubSource(repository=found["repository"], revision=found["revision"] or "main", include=include)


def list_hub(source: HubSource, endpoint: str) -> Listing:
    """What a pull would fetch, without fetching it. Raises SourceFailed or FileRefused."""
    with _translated(source, endpoint):
        info = HfApi(endpoint=endpoint).model_info(
            source.repository, revision=source.revision, files_metadata=True, timeout=_LISTING_TIMEOUT_S
        )
    if not info.sha:
        raise SourceFailed(f"{endpoint} names no commit for {source.repository}; it does not speak the hub's protocol")
    siblings = {item.rfilename: item for item in (info.siblings or [])[:_MAX_FILES]}
    taken, left = select(siblings, source.include, source.exclude)
    require_weights(taken, left, f"{source.repository} at {source.revision}")
    if not source.include:
        taken, doubles = one_model(taken, source.repository)
        left = sorted([*left, *doubles])
    files = []
    for path in taken:
        item = siblings[path]
        if item.size is None or item.size <= 0:
            raise SourceFailed(f"{endpoint} does not say how large {path} is; it does not speak the hub's protocol")
        files.append(RemoteFile(path, item.size, item.lfs.sha256 if item.lfs else ""))
    licence = info.card_data.get("license") if info.card_data else None
    return Listing(info.sha, tuple(files), tuple(left), licence if isinstance(licence, str) else "")


def fetch_hub(source: HubSource, into: Path, endpoint: str, transfer: Transfer) -> Provenance:
    """Fetch the listed files to `into`, going on where an earlier attempt at the same commit stopped.

    Raises SourceFailed, FileRefused, ChecksumMismatch, StorageFull or PullCancelled; what has arrived stays.
    """
    listing = list_hub(source, endpoint)
    _forget_others(into, listing)
    present = sum(_size(into / file.path) + _size(_part(into, file)) for file in listing.files)
    transfer.require_room(into, max(0, listing.size_bytes - present), f"fetching {source.repository}")
    counter = Counter(transfer, "fetching", listing.size_bytes)
    for file in listing.files:
        with _translated(source, endpoint):
            _fetch_file(source, file, into, endpoint, listing.commit, counter)
    return Provenance(source=source, revision=listing.commit, left_out=listing.left_out)


def _fetch_file(source: HubSource, file: RemoteFile, into: Path, endpoint: str, commit: str, counter: Counter) -> None:
    if not is_safe_path(file.path):
        raise FileRefused(f"{file.path[:80]}: this name could leave the model's folder; choose another repository")
    final, part = into / file.path, _part(into, file)
    if _size(final) == file.size_bytes:
        counter.add(file.size_bytes)
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    if _size(part) > file.size_bytes:
        part.unlink()
    url = hf_hub_url(source.repository, file.path, revision=commit, endpoint=endpoint)
    with part.open("ab") as opened:
        resume = opened.seek(0, 2)
        counter.add(resume)
        if resume < file.size_bytes:
            counted = cast(BinaryIO, CountedFile(opened, counter))
            http_get(url, counted, resume_size=resume, headers=_headers(), tqdm_class=_Silent)
    _settle(file, part, final)


def _headers() -> dict[str, str]:
    """Uncompressed, so that a byte's place in the answer is its place in the file."""
    return {**build_hf_headers(), "Accept-Encoding": "identity"}


def _settle(file: RemoteFile, part: Path, final: Path) -> None:
    """The bytes are all there: check them, keep them under their name, or throw them away."""
    found = _size(part)
    if found < file.size_bytes:
        raise SourceFailed(
            f"{file.path}: the connection ended after {found:,} of {file.size_bytes:,} bytes; pull again to go on"
        )
    sha256 = sha256_of(part) if file.sha256 else ""
    try:
        check_file(part, FileSpec(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256), sha256)
    except ChecksumMismatch:
        part.unlink()
        raise
    flush(part)
    part.replace(final)


def _forget_others(into: Path, listing: Listing) -> None:
    """Files of another commit or another choice never mix with these. The mark lies beside the folder, not in it."""
    mark = into.parent / COMMIT
    same = mark.exists() and mark.read_text("utf-8") == listing.commit
    wanted = {path for file in listing.files for path in (into / file.path, _part(into, file))} if same else set()
    for path in into.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()
    mark.write_text(listing.commit, "utf-8")


def _part(into: Path, file: RemoteFile) -> Path:
    final = into / file.path
    return final.with_name(f".{final.name}{_PART}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _translated(source: HubSource, endpoint: str) -> Iterator[None]:
    """Turns the library's errors into ours, with the cure."""
    try:
        yield
    except TramontaneError:
        raise
    except Exception as error:
        message = _message(f"{source.repository} at {source.revision}", endpoint, error)
        if message is None:
            raise
        raise SourceFailed(message) from error


def _message(what: str, endpoint: str, error: Exception) -> str | None:
    if isinstance(error, GatedRepoError):
        return (
            f"{what}: the hub asks for an account that accepted the model's terms; accept them there and set HF_TOKEN"
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{what}: the repository has no such revision; name a branch, a tag or a commit"
    if isinstance(error, RepositoryNotFoundError):
        return f"{what}: {endpoint} has no such repository, or it is private; check the name, set HF_TOKEN"
    if isinstance(error, HFValidationError):
        return f"{what}: not a repository's name; write owner/name"
    if isinstance(error, OfflineModeIsEnabled):
        return f"{what}: HF_HUB_OFFLINE forbids asking the hub; unset it"
    if isinstance(error, HfHubHTTPError):
        return f"{what}: {endpoint} answered {error.response.status_code}; try again later"
    if isinstance(error, OSError | ValueError) or type(error).__module__.split(".")[0] in (
        "httpx",
        "httpx2",
        "httpcore",
    ):
        return f"{what}: {endpoint} cannot be reached or broke off ({error}); pull again to go on"
    return None
