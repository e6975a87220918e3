"""What an added model is called before it is there."""

from pathlib import Path

from tests.fakes.clock import FakeClock

from tramontane.app.shelf import Shelf
from tramontane.foundation.settings import Settings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.catalog.catalogue import Catalogue
from tramontane.records.catalog.nouns import UpstreamSource


def test_another_servers_password_is_used_and_never_described(database: Database, home: Path) -> None:
    catalogue = Catalogue(database, FakeClock())
    shelf = Shelf(Settings.model_validate({"home": home}), catalogue, Scope("org", "ws"), FakeClock())
    entry = shelf.draft("http://ada:secret@gpu.example.org:8000/v1?token=hidden#big", "", None, "")
    assert isinstance(entry.source, UpstreamSource) and "secret" in entry.source.url
    assert "gpu.example.org" in entry.description
    assert "secret" not in entry.description and "hidden" not in entry.description
