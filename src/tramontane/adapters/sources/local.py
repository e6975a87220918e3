"""A model that is already on this machine: one file, a folder, or a wheel; copied, or left where it is.

Knows paths only. Links are not followed, so a folder cannot draw in files from elsewhere.
"""

from pathlib import Path

from tramontane.adapters.formats.errors import FileRefused
from tramontane.adapters.sources.errors import SourceFailed
from tramontane.adapters.sources.file_rules import check_content, refuse_code, require_weights, select
from tramontane.adapters.sources.transfer import Counter, Transfer, copy_stream, files_below
from tramontane.records.catalog.nouns import LocalSource, Provenance


def fetch_local(source: LocalSource, into: Path, transfer: Transfer) -> Provenance:
    """Copy a file or folder's model files to `into`. Raises SourceFailed, FileRefused, StorageFull or PullCancelled."""
    root, taken, left = _listed(source)
    sizes = {name: (root / name).stat().st_size for name in taken}
    transfer.require_room(into, sum(sizes.values()), f"the copy of {source.path}")
    counter = Counter(transfer, "copying", sum(sizes.values()))
    for name in taken:
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with (root / name).open("rb") as read, target.open("wb") as write:
            copy_stream(read, write, counter, sizes[name])
    return Provenance(source=source, left_out=tuple(left))


def refer_local(source: LocalSource) -> tuple[Path, tuple[str, ...], Provenance]:
    """Folder and file names of a model that stays where it is, its content checked. Raises as `fetch_local`."""
    root, taken, left = _listed(source)
    for name in taken:
        check_content(root / name, name)
    refuse_code(root, taken)
    return root, tuple(taken), Provenance(source=source, left_out=tuple(left))


def _listed(source: LocalSource) -> tuple[Path, list[str], list[str]]:
    path = Path(source.path).expanduser().absolute()
    if path.is_file():
        root, names = path.parent, [path.name]
    elif path.is_dir():
        root, names = path, [file.relative_to(path).as_posix() for file in files_below(path)]
    else:
        raise SourceFailed(f"{path} is neither a file nor a folder; check the path")
    taken, left = select(names, (), ())
    if path.is_file() and not taken:
        require_weights([], names, path.name)
        raise FileRefused(f"{path.name}: expected a .gguf file, or a folder with config.json and .safetensors files")
    require_weights(taken, left, str(path))
    return root, taken, left
