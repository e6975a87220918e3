"""The models' page of the studio, joined from the catalogue, the pulls under way and the engine. Fulfils `web.Studio`.

Verbs that take long begin here and go on by themselves: what becomes of them stands on the board, whoever asked and
whether or not they still look.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import Coroutine
from typing import Any, Protocol

from tramontane.adapters.sources.machine import read_machine
from tramontane.app.downloads import Downloads
from tramontane.app.shelf import Shelf
from tramontane.engine.nouns import EngineStatus, ReplicaStatus
from tramontane.engine.replicas import ReplicaState
from tramontane.entrypoints.web.studio_ports import Board, FitWords, ModelView, Obstacle, Standing, Step
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Conflict, NotFound, TramontaneError
from tramontane.foundation.nouns import Caller
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.settings import Settings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access.nouns import Person
from tramontane.records.catalog.catalogue import Catalogue
from tramontane.records.catalog.errors import NoEngine
from tramontane.records.catalog.fit import Fit
from tramontane.records.catalog.nouns import Machine, ModelEntry, Visibility

REFUSAL_S = 0.2
"""How long a load is watched for being refused at once, so that the page can say so where it was asked."""
log = logging.getLogger(__name__)


class LoadingEngine(Protocol):
    """The part of the engine that models are loaded into."""

    async def load(self, model: str) -> None: ...

    async def unload(self, model: str) -> None: ...

    def status(self) -> EngineStatus: ...


class Studio:
    """Every verb of the models' page."""

    def __init__(
        self, settings: Settings, database: Database, catalogue: Catalogue, engine: LoadingEngine, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._catalogue = catalogue
        self._engine = engine
        self._clock = clock
        self._downloads = Downloads()
        self._load_errors: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def models(self, scope: Scope) -> tuple[list[ModelView], Machine]:
        """Every model the workspace may see, by name, and the machine as it is now."""
        machine = await asyncio.to_thread(read_machine, self._settings.home, self._settings.engine.memory_limit_bytes)
        replicas = self._engine.status().replicas
        shelf = self._shelf(scope)
        partials = await asyncio.to_thread(shelf.partials)
        default = self._default(scope)
        entries = sorted(self._catalogue.entries(scope).items())
        views = [
            self._view(
                shelf, scope, entry, machine, replicas, default=name == default, partial_bytes=partials.get(name, 0)
            )
            for name, entry in entries
        ]
        return views, machine

    def visible(self, scope: Scope) -> frozenset[str]:
        return frozenset(self._catalogue.entries(scope))

    def board(self) -> Board:
        replicas = self._engine.status().replicas
        names = self._catalogue.view.entries
        steps = {name: step for name in names if (step := self._step(name, replicas.get(name))) is not None}
        return Board(standings={name: self._standing(name, replicas.get(name)) for name in names}, steps=steps)

    async def pull(self, caller: Caller, name: str) -> None:
        scope = Scope.of(caller)
        entry = self._catalogue.entry(scope, name)
        self._catalogue.require_licence(scope, entry)
        shelf = self._shelf(scope, caller.owner_id)
        shelf.engine_of(entry, self._catalogue.view.installed.get(entry.name))
        self._downloads.start(entry.name, functools.partial(_pulled, shelf, entry))

    async def cancel(self, caller: Caller, name: str) -> None:
        self._downloads.cancel(self._catalogue.entry(Scope.of(caller), name).name)

    async def load(self, caller: Caller, name: str) -> None:
        model = self._catalogue.installed(Scope.of(caller), name).name
        self._load_errors.pop(model, None)
        loading = self._spawn(self._load(model))
        await asyncio.wait({loading}, timeout=REFUSAL_S)
        if loading.done() and not loading.cancelled() and (error := loading.exception()) is not None:
            raise error

    async def unload(self, caller: Caller, name: str) -> None:
        model = self._catalogue.entry(Scope.of(caller), name).name
        self._spawn(self._engine.unload(model))
        await asyncio.sleep(0)

    async def accept_licence(self, caller: Caller, person: Person, name: str) -> None:
        scope = Scope.of(caller)
        entry = self._catalogue.entry(scope, name)
        if self._catalogue.licence(entry).needs_acceptance:
            await self._database.run_write(
                self._catalogue.accept_licence, scope, entry.licence, f"{person.name} ({person.person_id})"
            )

    async def set_alias(self, caller: Caller, name: str, alias: str) -> None:
        scope = Scope.of(caller)
        model = self._catalogue.entry(scope, name).name
        own = Visibility(scope.organisation_id, scope.workspace_id)
        await self._database.run_write(self._catalogue.set_alias, scope, alias, model, own, caller.owner_id)

    async def drop_alias(self, caller: Caller, name: str, alias: str) -> None:
        scope = Scope.of(caller)
        model = self._catalogue.entry(scope, name).name
        if alias not in self._catalogue.own_aliases_of(scope, model):
            raise NotFound(
                f"{alias[:128]!r} is no name that this workspace has given to {model}; those of the whole organisation "
                "are changed in the terminal, with `tramontane models alias`",
                param="alias",
            )
        own = Visibility(scope.organisation_id, scope.workspace_id)
        await self._database.run_write(self._catalogue.drop_alias, alias, own)

    async def remove(self, caller: Caller, name: str) -> None:
        scope = Scope.of(caller)
        model = self._catalogue.entry(scope, name).name
        if self._downloads.under_way(model):
            raise Conflict(f"{model} is being fetched; stop that first", param="model", code="being_fetched")
        # On a thread of its own: deleting gigabytes takes longer than writers may wait behind each other.
        await asyncio.to_thread(self._shelf(scope).remove, model)
        self._downloads.cancel(model)
        self._load_errors.pop(model, None)
        self._spawn(self._engine.unload(model))

    async def close(self) -> None:
        """Stop what is under way; before the engine and the database."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._downloads.close()

    def _shelf(self, scope: Scope, who: str = "") -> Shelf:
        return Shelf(self._settings, self._catalogue, scope, self._clock, who=who or "operator")

    def _default(self, scope: Scope) -> str:
        """The default model's own name; as it was written when nothing has that name."""
        try:
            return self._catalogue.entry(scope, self._settings.default_model).name
        except TramontaneError:
            return self._settings.default_model

    def _view(
        self,
        shelf: Shelf,
        scope: Scope,
        entry: ModelEntry,
        machine: Machine,
        replicas: dict[str, ReplicaStatus],
        *,
        default: bool,
        partial_bytes: int,
    ) -> ModelView:
        installed = self._catalogue.view.installed.get(entry.name)
        standing = self._standing(entry.name, replicas.get(entry.name))
        words = _fit_words(shelf, entry, machine, standing)
        return ModelView(
            entry=entry,
            aliases=self._catalogue.aliases_of(scope, entry.name) or entry.aliases,
            own_aliases=self._catalogue.own_aliases_of(scope, entry.name),
            licence=self._catalogue.licence(entry),
            acceptance=self._catalogue.acceptance(scope, entry),
            memory_bytes=words.needed_bytes,
            context_tokens=(installed.context_tokens if installed else 0) or entry.context_tokens,
            engine=installed.engine if installed else "",
            here=installed is not None,
            standing=standing,
            fit=words,
            default=default,
            partial_bytes=partial_bytes,
        )

    def _standing(self, name: str, replica: ReplicaStatus | None) -> Standing:
        here = name in self._catalogue.view.installed
        if self._downloads.under_way(name) is not None:
            return Standing("fetching")
        state = replica.state if replica is not None else ReplicaState.ABSENT
        if here and state == ReplicaState.LOADING:
            return Standing("loading")
        if here and state in (ReplicaState.READY, ReplicaState.DRAINING):
            return Standing("loaded", unloading=state == ReplicaState.DRAINING)
        failure = self._downloads.failure(name)
        if failure and not here:
            return Standing("failed", failure)
        load_error = self._load_errors.get(name) or (replica.last_error if replica is not None else "")
        if here and state == ReplicaState.QUARANTINED:
            return Standing("failed", load_error)
        return Standing("installed", failure or load_error) if here else Standing()

    def _step(self, name: str, replica: ReplicaStatus | None) -> Step | None:
        download = self._downloads.under_way(name)
        if download is not None:
            return Step("stopping" if download.stop.is_set() else download.stage, download.done, download.total)
        if replica is not None and replica.state == ReplicaState.LOADING:
            return Step(replica.stage, replica.done, replica.total)
        return None

    async def _load(self, model: str) -> None:
        try:
            await self._engine.load(model)
        except TramontaneError as error:
            self._load_errors[model] = error.message
            raise

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, TramontaneError):
            log.error("a change of a model broke", exc_info=error)


def _pulled(shelf: Shelf, entry: ModelEntry, report: ProgressReport, stop: threading.Event) -> None:
    shelf.add(entry, report, stop)


def _fit_words(shelf: Shelf, entry: ModelEntry, machine: Machine, standing: Standing) -> FitWords:
    """The catalogue's verdict; a model that is in memory has shown that it fits, whatever is left beside it."""
    try:
        found = shelf.judged(entry.name, machine)
    except NoEngine as error:
        return FitWords(verdict="does_not_fit", reason=error.message, obstacle="engine")
    reason, obstacle = " ".join(found.reasons), None
    if standing.state in ("loading", "loaded"):
        reason = ""
    elif found.verdict == "does_not_fit":
        reason, obstacle = found.reasons[0], _obstacle(found)
    return FitWords(
        verdict="fits" if not reason else found.verdict,
        reason=reason,
        obstacle=obstacle,
        needed_bytes=found.need.memory_bytes,
        usable_bytes=found.memory_bytes,
    )


def _obstacle(found: Fit) -> Obstacle:
    return "memory" if found.need.memory_bytes > found.memory_bytes else "disk"
