"""A real studio over a real catalogue and data folder, a hub on the loopback, and an engine that only pretends to load."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.hub import FakeHub
from tests.fakes.loading_engine import LoadingEngine
from tests.fakes.tiny_files import folder_files

from tramontane.app import shelf
from tramontane.app.studio import Studio
from tramontane.foundation.settings import Settings
from tramontane.foundation.store.database import Database
from tramontane.records.catalog.builtin import Shipped, shipped
from tramontane.records.catalog.catalogue import Catalogue
from tramontane.records.catalog.nouns import CacheShape, HubSource, InstalledModel, ModelEntry, Provenance, Visibility

OPEN, GATED, HUGE = "tiny", "gated", "huge"


class Workbench(NamedTuple):
    """A studio and what it stands on."""

    studio: Studio
    catalogue: Catalogue
    engine: LoadingEngine
    home: Path


def entry(name: str, licence: str = "apache-2.0", parameters: int = 1_000_000) -> ModelEntry:
    return ModelEntry(
        name=name,
        family="llama",
        description=f"{name}, for tests",
        licence=licence,
        source=HubSource(repository=f"owner/{name}"),
        formats=("safetensors",),
        capabilities=("chat",),
        parameters=parameters,
        context_tokens=512,
    )


def known_models() -> Shipped:
    entries = (entry(OPEN), entry(GATED, "mrl-0.1"), entry(HUGE, parameters=10**13))
    return Shipped(entries={one.name: one for one in entries}, licences=shipped().licences)


def _prepare(weights: Path, folder: Path, report: object) -> float | None:
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(b"prepared" * 100)
    return None


@asynccontextmanager
async def opened_studio(
    database: Database, home: Path, hub_url: str, patch: pytest.MonkeyPatch
) -> AsyncIterator[Workbench]:
    """The engines' own part of a pull is left out; everything else is the real thing."""
    patch.setattr(shelf, "refusal", lambda weights: None)
    patch.setattr(shelf, "prepare_weights", _prepare)
    settings = Settings.model_validate({"home": home, "default_model": OPEN, "hub": {"endpoint": hub_url}})
    clock, engine = FakeClock(), LoadingEngine()
    catalogue = Catalogue(database, clock, known_models())
    studio = Studio(settings, database, catalogue, engine, clock)
    try:
        yield Workbench(studio, catalogue, engine, home)
    finally:
        engine.go.set()
        await studio.close()


def filled(hub: FakeHub) -> FakeHub:
    """The hub with every model the studio's catalogue names."""
    for name in (OPEN, GATED):
        hub.add(f"owner/{name}", folder_files())
    return hub


def installed_by_hand(bench: Workbench, name: str = OPEN, **changes: object) -> None:
    """A model's row without its files."""
    known = bench.catalogue.view.entries[name]
    model = InstalledModel(
        entry=known,
        visibility=Visibility(),
        engine="openvino",
        state="ready",
        folder=str(bench.home / "models" / name),
        files_folder="",
        weights="",
        architecture="llama",
        files=(),
        provenance=Provenance(source=known.source),
        sha256="",
        size_bytes=1000,
        context_tokens=512,
        cache=CacheShape(),
    )
    bench.catalogue.register(msgspec.structs.replace(model, **changes))
