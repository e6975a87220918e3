"""Opens the store and the records that rest on it, and closes it again. No engine and no web framework here."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.settings import Settings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.schema import migrate
from tramontane.records.access.bootstrap import FirstStart, ensure_default
from tramontane.records.catalog.catalogue import Catalogue


@dataclass(frozen=True)
class Opened:
    """The records of one installation."""

    database: Database
    first: FirstStart
    catalogue: Catalogue


def make_home(settings: Settings) -> None:
    """Create the data folder for this user alone. Raises Misconfigured naming the cure."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Misconfigured(
            f"the data folder {settings.home} cannot be made ({error.strerror}); set TRAMONTANE_HOME to a folder you may write"
        ) from None


@contextmanager
def opened_records(
    settings: Settings, clock: Clock, report: ProgressReport, *, first_key: bool = False
) -> Iterator[Opened]:
    """The database, brought up to date, with its default workspace; closed on the way out."""
    make_home(settings)
    with contextlib.closing(Database.open(settings.sqlalchemy_url)) as database:
        migrate(database, report)
        first = ensure_default(database, clock, first_key=first_key)
        catalogue = Catalogue(database, clock)
        catalogue.refresh()
        yield Opened(database, first, catalogue)
