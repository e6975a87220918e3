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
from tramontane.foundation.store.errors import NoDatabase
from tramontane.foundation.store.lease import Lease, leased
from tramontane.foundation.store.schema import migrate, require_current
from tramontane.foundation.store.scope import Scope
from tramontane.records.access.bootstrap import FirstStart, default_scope, ensure_default
from tramontane.records.catalog.catalogue import Catalogue


@dataclass(frozen=True)
class Opened:
    """The records of one installation, to work on."""

    database: Database
    first: FirstStart
    catalogue: Catalogue
    lease: Lease

    @property
    def scope(self) -> Scope:
        return self.first.scope


@dataclass(frozen=True)
class Consulted:
    """The records of one installation, to look at."""

    database: Database
    scope: Scope
    catalogue: Catalogue


NOWHERE = Scope("", "")  # sees what everybody sees


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
    """The database, brought up to date, with its default workspace; closed on the way out. Raises StoreInUse."""
    make_home(settings)
    with (
        contextlib.closing(Database.open(settings.sqlalchemy_url)) as database,
        leased(database, settings.home) as lease,
    ):
        migrate(database, report)
        first = ensure_default(database, clock, first_key=first_key)
        catalogue = Catalogue(database, clock)
        catalogue.refresh()
        yield Opened(database, first, catalogue, lease)


@contextmanager
def consulted_records(settings: Settings, clock: Clock, *, shipped_will_do: bool = False) -> Iterator[Consulted]:
    """The records as they are: nothing is made, migrated or written.

    Without a database the shipped catalogue has to do where it can. Raises NoDatabase where it cannot, and Misconfigured
    saying what brings a database of an older step up to date.
    """
    with contextlib.closing(Database.open(settings.sqlalchemy_url, looking=True)) as database:
        catalogue, scope = Catalogue(database, clock), NOWHERE
        try:
            require_current(database)
            scope = default_scope(database)
            catalogue.refresh()
        except NoDatabase:
            if not shipped_will_do:
                raise
        yield Consulted(database, scope, catalogue)
