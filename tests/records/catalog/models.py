"""Models and places as the tests of this room name them."""

from tramontane.foundation.store.scope import Scope
from tramontane.records.catalog.builtin import shipped
from tramontane.records.catalog.nouns import CacheShape, HubSource, InstalledModel, ModelEntry, Provenance, Visibility

EVERYBODY = Visibility()
HERE = Scope("org", "ws")
NEXT_DOOR = Scope("org", "other")
ELSEWHERE = Scope("stranger", "ws2")
SHIPPED = shipped()


def installed(entry: ModelEntry, visibility: Visibility = EVERYBODY) -> InstalledModel:
    return InstalledModel(
        entry=entry,
        visibility=visibility,
        engine="openvino",
        state="ready",
        folder="",
        files_folder="",
        weights="",
        architecture=entry.family,
        files=(),
        provenance=Provenance(source=entry.source),
        sha256="",
        size_bytes=0,
        context_tokens=entry.context_tokens,
        cache=CacheShape(),
    )


def private(name: str) -> ModelEntry:
    source = HubSource(repository="a/b")
    return ModelEntry(
        name=name, family="llama", description="", licence="own", source=source, formats=(), capabilities=("chat",)
    )


SMALL = installed(SHIPPED.entries["smollm2-135m-instruct"])
