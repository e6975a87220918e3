"""One installation as the commands see it: settings, books, shelf, an engine, the server. Fulfils `cli.Application`.

Each command loads only what it needs: a key is made without a web framework, a list is shown without an engine.
"""

import asyncio
import functools
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import setproctitle

from tramontane.adapters.sources.errors import PullCancelled
from tramontane.adapters.sources.machine import read_machine
from tramontane.app.records import Consulted, Opened, consulted_records, make_home, opened_records
from tramontane.engine.facade import EngineRoom
from tramontane.entrypoints.cli import Books
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import TramontaneError
from tramontane.foundation.nouns import Caller
from tramontane.foundation.progress import ProgressReport, silent
from tramontane.foundation.settings import Settings, load_settings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.errors import NoDatabase, StoreInUse
from tramontane.foundation.store.lease import leased, restoring, taken_over
from tramontane.records.access.invitations import Invitations
from tramontane.records.access.keys import Keys
from tramontane.records.access.people import People
from tramontane.records.access.places import Places
from tramontane.records.catalog.nouns import Machine

if TYPE_CHECKING:
    from tramontane.app.shelf import Shelf

EMBEDDED_MODELS = ("smollm2-135m-instruct", "all-minilm-l6-v2")
OPERATOR = "operator"
LETTING_GO_S = 15
"""How long a server may take to close what it has open, after its requests have had their `http.drain_s`."""


class Installation:
    """Everything below one data folder, opened piece by piece."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._first_opening = True

    @functools.cached_property
    def settings(self) -> Settings:
        """Read once. Raises Misconfigured naming the key and its source."""
        return load_settings()

    def machine(self) -> Machine:
        return read_machine(self.settings.home, self.settings.engine.memory_limit_bytes)

    @contextmanager
    def books(self, *, looking: bool = False) -> Iterator[Books]:
        with self._consulted() if looking else self._records(silent) as records:
            keys, places = Keys(records.database, self._clock), Places(records.database, self._clock)
            people, invitations = People(records.database, self._clock), Invitations(records.database, self._clock)
            yield Books(records.scope, records.database, keys, places, people, invitations)

    @contextmanager
    def shelf(self, *, looking: bool = False) -> Iterator["Shelf"]:
        with self._consulted(shipped_will_do=True) if looking else self._records(silent) as records:
            yield self._shelf(records)

    @asynccontextmanager
    async def engine(self, model: str, report: ProgressReport) -> AsyncIterator[tuple[EngineRoom, Caller]]:
        """An engine of our own; one of the embedded models is fetched when it is missing."""
        from tramontane.app.engine import opened_engine

        with self._records(report) as records:
            if model in EMBEDDED_MODELS and not _is_here(records, model):
                await _pulled(self._shelf(records), model, report)
            async with opened_engine(self.settings, self._clock, records) as engine:
                if model in records.catalogue.view.installed:
                    await engine.load(model)
                yield engine, _operator(records)

    def serve(self, report: ProgressReport, say: Callable[[str], None]) -> None:
        """Bind, open, fetch what is missing, then serve in one event loop until stopped; anew after each restore."""
        import uvloop

        from tramontane.app.standing_aside import stand_aside
        from tramontane.entrypoints.api import listen

        logging.getLogger("tramontane").setLevel(self.settings.log_level.upper())
        setproctitle.setproctitle("tramontane: gateway")
        make_home(self.settings)
        with closing(listen(self.settings.host, self.settings.port)) as listener:
            while self._serve_once(listener.dup(), report, say):
                say("Making way for a restore; callers are asked to come back.")
                if not uvloop.run(stand_aside(self.settings, listener.dup())):
                    break
        say("Stopped.")

    def _serve_once(self, listener: socket.socket, report: ProgressReport, say: Callable[[str], None]) -> bool:
        """Serve until stopped; True when a restore has the store, or was made way for."""
        import uvloop

        from tramontane.app.gateway import run_gateway

        try:
            with closing(listener), self._records(report, first_key=True) as records:
                if self._first_opening:
                    self._fetch_embedded(records, report, say)
                # After a restore callers wait at the door already, so nothing is fetched before they are answered.
                self._first_opening = False
                return uvloop.run(run_gateway(self.settings, self._clock, records, listener, say))
        except StoreInUse:
            return True

    def backup(self, target: Path, report: ProgressReport) -> str:
        from tramontane.foundation.store.backup import backup
        from tramontane.foundation.store.blobs import Blobs

        # Not brought up to date before: a backup is what one takes before a new release does that.
        with closing(Database.open(self.settings.sqlalchemy_url, looking=True)) as database:
            if database.missing:
                raise NoDatabase(f"there is no database in {self.settings.home}, so there is nothing to back up")
            with leased(database, self.settings.home):
                manifest = backup(database, Blobs(self.settings.blobs), target.absolute(), self._clock, report)
        rows = sum(table.rows for table in manifest.tables.values())
        return f"{target}: {rows} rows of {len(manifest.tables)} tables and {len(manifest.blobs)} files"

    def restore(self, archive: Path, replace: bool, report: ProgressReport) -> str:
        from tramontane.foundation.store.blobs import Blobs
        from tramontane.foundation.store.restore import restore

        make_home(self.settings)
        home, patience_s = self.settings.home, self.settings.http.drain_s + LETTING_GO_S
        with closing(Database.open(self.settings.sqlalchemy_url)) as database, restoring(database, home):
            alone = functools.partial(taken_over, database, home, patience_s, report)
            manifest = restore(archive, database, Blobs(self.settings.blobs), report, replace=replace, alone=alone)
        rows = sum(table.rows for table in manifest.tables.values())
        return f"restored {rows} rows of {len(manifest.tables)} tables and {len(manifest.blobs)} files"

    @contextmanager
    def _records(self, report: ProgressReport, *, first_key: bool = False) -> Iterator[Opened]:
        with opened_records(self.settings, self._clock, report, first_key=first_key) as records:
            yield records

    @contextmanager
    def _consulted(self, *, shipped_will_do: bool = False) -> Iterator[Consulted]:
        with consulted_records(self.settings, self._clock, shipped_will_do=shipped_will_do) as records:
            yield records

    def _shelf(self, records: Opened | Consulted) -> "Shelf":
        from tramontane.app.shelf import Shelf

        return Shelf(self.settings, records.catalogue, records.scope, self._clock)

    def _fetch_embedded(self, records: Opened, report: ProgressReport, say: Callable[[str], None]) -> None:
        """Fetch the models of the first day; without a network the server starts all the same and says what to do."""
        shelf = self._shelf(records)
        for name in EMBEDDED_MODELS:
            if _is_here(records, name):
                continue
            try:
                shelf.pull(name, report)
            except TramontaneError as error:
                say(f"{name} could not be fetched: {error.message}\nLater: tramontane models pull {name}")


async def _pulled(shelf: "Shelf", model: str, report: ProgressReport) -> None:
    """Pull on a thread. A thread cannot be cancelled and the process would wait for it, so it is told to stop."""
    stop = threading.Event()

    def told(stage: str, done: int, total: int) -> None:
        if stop.is_set():
            raise PullCancelled("the pull was stopped; start it again to go on where it stopped")
        report(stage, done, total)

    try:
        await asyncio.to_thread(shelf.pull, model, told)
    except asyncio.CancelledError:
        stop.set()
        raise


def _is_here(records: Opened, name: str) -> bool:
    """Whether the model is installed where its row says: not after the data folder was moved or restored elsewhere."""
    model = records.catalogue.view.installed.get(name)
    return model is not None and (not model.folder or Path(model.folder).is_dir())


def _operator(records: Opened) -> Caller:
    scope = records.first.scope
    return Caller(organisation_id=scope.organisation_id, workspace_id=scope.workspace_id, principal_id=OPERATOR)
