"""Knows model folders that were copied into the data folder since it was last looked at, as on a machine without a network.

Nothing takes them in by itself; whoever asks for such a model is told what does. The directory and the shelf ask here.
"""

from pathlib import Path

from tramontane.adapters.sources.folders import MANIFEST, ModelFolders
from tramontane.foundation.errors import InvalidFields
from tramontane.records.catalog.catalogue import Catalogue


def unregistered(home: Path, catalogue: Catalogue, name: str) -> Path | None:
    """Where a model's folder of that name lies that no row knows, as after it was copied there; nobody's is told of."""
    if name in catalogue.view.installed:
        return None
    try:
        folder = ModelFolders(home).final(name)
    except InvalidFields:
        return None
    return folder if (folder / MANIFEST).is_file() else None
