"""The built web client's files on disk: an index of what may be served, and each file in the encoding a browser takes.

Knows no HTTP beyond names of encodings and entity tags. The index is made by walking the folder, so that no path from
outside is ever joined to it; a build that replaces the files while the server runs is seen at the next page.
"""

import hashlib
import mimetypes
from dataclasses import dataclass, field
from pathlib import Path

BUILT = Path(__file__).with_name("built")
PAGE = "index.html"
TWINS = {"br": ".br", "gzip": ".gz"}  # best first
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file in one encoding; `encoding` is empty for the file as it is. `tag` names these very bytes."""

    content: bytes
    media_type: str
    encoding: str
    tag: str


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    media_type: str
    tag: str
    twins: dict[str, Path]


@dataclass(slots=True)
class ClientFiles:
    """The files under `folder`; empty where no client was built. All methods read the disk: call them in a thread."""

    folder: Path = BUILT
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _built_ns: int | None = None

    def read(self, name: str, encodings: tuple[str, ...] = ()) -> ClientFile | None:
        """The file `name` ("assets/app-1a2b.js") in the best of `encodings` there is; None where there is none."""
        self._look()
        entry = self._entries.get(name)
        if entry is None:
            return None
        encoding = next((one for one in TWINS if one in encodings and one in entry.twins), "")
        try:
            content = (entry.twins[encoding] if encoding else entry.path).read_bytes()
        except FileNotFoundError:  # a build is replacing the files just now
            return None
        tag = f'"{entry.tag}-{encoding}"' if encoding else f'"{entry.tag}"'
        return ClientFile(content, entry.media_type, encoding, tag)

    def _look(self) -> None:
        """Index again when the page is another one than before."""
        try:
            built_ns = (self.folder / PAGE).stat().st_mtime_ns
        except OSError:
            built_ns = None
        if built_ns == self._built_ns:
            return
        self._entries = {} if built_ns is None else _indexed(self.folder)
        self._built_ns = built_ns


def _indexed(folder: Path) -> dict[str, _Entry]:
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    names = {path.relative_to(folder).as_posix(): path for path in found}
    return {
        name: _entry(name, path, names)
        for name, path in names.items()
        if path.suffix not in TWINS.values() and not name.startswith(".")
    }


def _entry(name: str, path: Path, names: dict[str, Path]) -> _Entry:
    twins = {encoding: names[name + ending] for encoding, ending in TWINS.items() if name + ending in names}
    # The system's own table differs from machine to machine; what the build makes is named here.
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return _Entry(path, media_type, hashlib.sha256(path.read_bytes()).hexdigest()[:20], twins)
