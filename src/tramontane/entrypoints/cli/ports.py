"""What the commands need from the composition root: the books, the model shelf, an engine without a server, the server.

Nothing here knows how they are built; `app.py` fulfils `Application`.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tramontane.engine.facade import EngineRoom
from tramontane.foundation.nouns import Caller
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.settings import Settings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access.invitations import Invitations
from tramontane.records.access.keys import Keys
from tramontane.records.access.people import People
from tramontane.records.access.places import Places
from tramontane.records.catalog.nouns import Acceptance, Alias, InstalledModel, Licence, Machine, ModelEntry


@dataclass(frozen=True)
class Books:
    """The database, open and up to date, as the commands use it. `scope` is the default workspace."""

    scope: Scope
    database: Database
    keys: Keys
    places: Places
    people: People
    invitations: Invitations


@dataclass(frozen=True)
class FitAnswer:
    """Whether a model fits this machine: yes or no, and every number that decided it, one line each."""

    fits: bool
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Terms:
    """A model's licence and who accepted it for the organisation; None when nobody has."""

    licence: Licence
    acceptance: Acceptance | None


class ModelShelf(Protocol):
    """Every verb on models, for one workspace. All raise errors of the foundation's tree that name the cure."""

    def known(self) -> Sequence[ModelEntry]: ...

    def installed(self) -> Sequence[InstalledModel]: ...

    def aliases(self) -> Sequence[Alias]: ...

    def find(self, name: str) -> tuple[ModelEntry, InstalledModel | None]: ...

    def terms(self, entry: ModelEntry) -> Terms: ...

    def accept_licence(self, entry: ModelEntry, who: str) -> None: ...

    def fit(self, name: str) -> FitAnswer: ...

    def draft(
        self, place: str, name: str, licence: str | None, key_variable: str, sees_images: bool = False
    ) -> ModelEntry: ...

    def add(self, entry: ModelEntry, report: ProgressReport) -> InstalledModel:
        """Install an entry, of the catalogue or drafted."""
        ...

    def export(self, name: str, target: Path, report: ProgressReport) -> None: ...

    def partials(self) -> dict[str, int]:
        """Bytes on the disk of models that did not arrive whole, by name."""
        ...

    def remove(self, name: str) -> int:
        """Bytes given back to the disk, those of an unfinished fetch too."""
        ...

    def set_alias(self, alias: str, target: str, who: str) -> None: ...

    def drop_alias(self, alias: str) -> None: ...

    def verify(self, name: str) -> None: ...


class Application(Protocol):
    """The whole installation, opened piece by piece."""

    @property
    def settings(self) -> Settings: ...

    def machine(self) -> Machine:
        """What this machine can give now, its containers' limits counted."""
        ...

    def books(self, *, looking: bool = False) -> AbstractContextManager[Books]:
        """Open and up to date; with `looking` as they are, and nothing is written.

        Looking raises NoDatabase before the first start and Misconfigured where steps are missing.
        """
        ...

    def shelf(self, *, looking: bool = False) -> AbstractContextManager[ModelShelf]:
        """As `books`; before the first start the shipped catalogue can be looked at."""
        ...

    def engine(self, model: str, report: ProgressReport) -> AbstractAsyncContextManager[tuple[EngineRoom, Caller]]:
        """An engine of this process's own with `model` loaded, as the operator; no server is needed."""
        ...

    def serve(self, report: ProgressReport, say: Callable[[str], None]) -> None:
        """Run the server until it is told to stop. Raises Misconfigured when it cannot start."""
        ...

    def backup(self, target: Path, report: ProgressReport) -> str: ...

    def restore(self, archive: Path, replace: bool, report: ProgressReport) -> str: ...
