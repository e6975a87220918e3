"""The verbs on models, joined from the catalogue (which) and the sources (where from). What `tramontane models` calls."""

import threading
from pathlib import Path

import msgspec

from tramontane.adapters.servers.llamacpp.starter import installed as llamacpp_installed
from tramontane.adapters.servers.openvino.families import SUPPORTED_FAMILIES
from tramontane.adapters.servers.openvino.preparing import prepare_weights, refusal
from tramontane.adapters.sources.bundle import export_bundle
from tramontane.adapters.sources.folders import ModelFolders
from tramontane.adapters.sources.hub import list_hub, parse_hub
from tramontane.adapters.sources.install import Engines, Installer, Request, bundle_entry, draft_entry
from tramontane.adapters.sources.machine import read_machine
from tramontane.adapters.sources.transfer import Transfer
from tramontane.adapters.sources.verify import Verifier
from tramontane.app.copied import unregistered
from tramontane.entrypoints.cli.ports import FitAnswer, Terms
from tramontane.foundation.addresses import Address
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import BadRequest, NotFound
from tramontane.foundation.progress import ProgressReport
from tramontane.foundation.settings import Settings
from tramontane.foundation.sizes import size_text
from tramontane.foundation.store.scope import Scope
from tramontane.records.catalog.catalogue import Catalogue
from tramontane.records.catalog.engines import expected_engine
from tramontane.records.catalog.errors import ModelNotFound, NoEngine
from tramontane.records.catalog.fit import Fit, fit
from tramontane.records.catalog.licences import OWN, UNSTATED, licence_named
from tramontane.records.catalog.nouns import (
    Alias,
    EngineKind,
    HubSource,
    InstalledModel,
    LocalSource,
    Machine,
    ModelEntry,
    UpstreamSource,
    Visibility,
)

EMBEDDED_FAMILIES = frozenset({*SUPPORTED_FAMILIES, "bert"})
HUB_PREFIX = "hub:"


class Shelf:
    """Every verb on models for one workspace; `who` adds models, the operator unless somebody is named."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, scope: Scope, clock: Clock, *, who: str = "operator"
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._scope = scope
        self._clock = clock
        self._who = who
        self._folders = ModelFolders(settings.home)
        engines = Engines(embedded_refusal=refusal, prepare=prepare_weights, llamacpp=llamacpp_installed())
        self._installer = Installer(self._folders, engines, catalogue.register)

    def known(self) -> list[ModelEntry]:
        return list(self._catalogue.entries(self._scope).values())

    def installed(self) -> list[InstalledModel]:
        return list(self._catalogue.view.installed.values())

    def aliases(self) -> list[Alias]:
        return list(self._catalogue.view.aliases)

    def find(self, name: str) -> tuple[ModelEntry, InstalledModel | None]:
        try:
            entry = self._catalogue.entry(self._scope, name)
        except ModelNotFound as error:
            folder = unregistered(self._settings.home, self._catalogue, name)
            if folder is None:
                raise
            said = error.message.partition(";")[0]
            cure = f"its folder lies in the data folder, `tramontane models add {folder}` takes it in"
            raise ModelNotFound(f"{said}; {cure}", error.near) from None
        return entry, self._catalogue.view.installed.get(entry.name)

    def terms(self, entry: ModelEntry) -> Terms:
        return Terms(self._catalogue.licence(entry), self._catalogue.acceptance(self._scope, entry))

    def accept_licence(self, entry: ModelEntry, who: str) -> None:
        self._catalogue.accept_licence(self._scope, entry.licence, who)

    def fit(self, name: str) -> FitAnswer:
        machine = read_machine(self._settings.home, self._settings.engine.memory_limit_bytes)
        try:
            answer = self.judged(name, machine)
            engine = self.engine_of(*self.find(name))
        except NoEngine as error:
            return FitAnswer(False, (error.message,))
        numbers = (
            f"needs {size_text(answer.need.memory_bytes)} of memory, {size_text(answer.memory_bytes)} can be used; "
            f"engine {engine}"
        )
        reasons = answer.reasons if answer.verdict == "does_not_fit" else (numbers, *answer.reasons)
        return FitAnswer(answer.verdict != "does_not_fit", reasons)

    def judged(self, name: str, machine: Machine) -> Fit:
        """The catalogue's verdict on a model, for the engine that runs it. Raises NoEngine."""
        entry, model = self.find(name)
        engine = self.engine_of(entry, model)
        return fit(model or entry, machine, engine=engine, cache_bytes=self._settings.engine.cache_bytes)

    def engine_of(self, entry: ModelEntry, model: InstalledModel | None) -> EngineKind:
        """The engine of an installed model, or the one it will get. Raises NoEngine."""
        return model.engine if model else expected_engine(entry, EMBEDDED_FAMILIES, llamacpp_installed())

    def pull(self, name: str, report: ProgressReport) -> InstalledModel:
        """Install a model of the catalogue by its name."""
        return self.add(self._catalogue.entry(self._scope, name), report)

    def draft(
        self, place: str, name: str, licence: str | None, key_variable: str, sees_images: bool = False
    ) -> ModelEntry:
        """An entry for what lies at a path, on a hub or on another server. Raises NameTaken, BadRequest.

        `sees_images` is the operator's word for a model of another server: no common list of models says it.
        """
        copied = self._folders.copied(Path(place).expanduser().absolute())
        # One that was copied there whole is checked against its own list and taken in where it lies.
        entry = copied.entry if copied else _entry_of(place, name, licence, key_variable)
        if sees_images:
            entry = _seeing(entry, place)
        self._catalogue.require_free_name(entry.name)
        if isinstance(entry.source, HubSource) and licence is None:
            stated = list_hub(entry.source, self._settings.hub.endpoint).licence
            entry = msgspec.structs.replace(entry, licence=licence_named(stated, self._catalogue.licences()))
        return entry

    def add(self, entry: ModelEntry, report: ProgressReport, stop: threading.Event | None = None) -> InstalledModel:
        """Install an entry, of the catalogue or drafted. Raises LicenceNotAccepted before anything is fetched.

        Setting `stop` ends it with PullCancelled.
        """
        self._catalogue.require_licence(self._scope, entry)
        return self._installer.pull(entry, self._request(), Transfer(report, stop or threading.Event()))

    def export(self, name: str, target: Path, report: ProgressReport) -> None:
        export_bundle(self._here(name), target, Transfer(report))

    def partials(self) -> dict[str, int]:
        return self._folders.partial_bytes()

    def remove(self, name: str) -> int:
        """Also what was fetched of it and did not arrive. Raises NotFound where there is neither, Conflict during a pull."""
        try:
            model = self._here(name)
        except NotFound:
            freed = self._folders.drop_partial(self._own_name(name))
            if not freed:
                raise
            return freed
        freed = self._folders.drop_partial(model.name)
        self._catalogue.forget(self._scope, model.name, installation=True)
        self._folders.remove(model)
        return freed + model.size_bytes + sum(file.size_bytes for file in model.prepared_files)

    def set_alias(self, alias: str, target: str, who: str) -> None:
        self._catalogue.set_alias(self._scope, alias, target, self._organisation(), who)

    def drop_alias(self, alias: str) -> None:
        self._catalogue.drop_alias(alias, self._organisation())

    def verify(self, name: str) -> None:
        Verifier().verify(self._here(name), Transfer(), full=True)

    def _here(self, name: str) -> InstalledModel:
        _, model = self.find(name)
        if model is None:
            raise NotFound(f"{name} is not on this machine; `tramontane models list` shows what is", param="model")
        return model

    def _own_name(self, name: str) -> str:
        """Of an alias its model's; one whose first fetch was broken off may be in no catalogue yet."""
        try:
            return self._catalogue.entry(self._scope, name).name
        except ModelNotFound:
            return name

    def _organisation(self) -> Visibility:
        return Visibility(self._scope.organisation_id)

    def _request(self) -> Request:
        return Request(added_by=self._who, hub_endpoint=self._settings.hub.endpoint, now_ns=self._clock.now_ns())


def _entry_of(place: str, name: str, licence: str | None, key_variable: str) -> ModelEntry:
    if place.startswith(("http://", "https://")):
        return _upstream_entry(place, name, licence or UNSTATED, key_variable)
    if place.startswith(HUB_PREFIX):
        source = parse_hub(place.removeprefix(HUB_PREFIX))
        return draft_entry(name or source.repository.rsplit("/", 1)[-1].lower(), source, licence or UNSTATED)
    path = Path(place).expanduser().absolute()
    if not path.exists():
        raise BadRequest(f"{place}: there is no such file or folder; a hub's model is written {HUB_PREFIX}OWNER/NAME")
    if path.name.endswith(".tar"):
        return bundle_entry(path, name)
    return draft_entry(name or path.stem.lower(), LocalSource(path=str(path)), licence or OWN)


def _seeing(entry: ModelEntry, place: str) -> ModelEntry:
    if not isinstance(entry.source, UpstreamSource):
        raise BadRequest(f"{place}: the engines here read no images; only a model of another server can see them")
    return msgspec.structs.replace(entry, capabilities=(*entry.capabilities, "vision"))


def _upstream_entry(place: str, name: str, licence: str, key_variable: str) -> ModelEntry:
    """`http://host:port/v1#model` names another server and the model it holds."""
    address, _, model = place.partition("#")
    if not model:
        raise BadRequest(f"{place}: say which model of that server is meant, as in {place}#MODEL")
    return ModelEntry(
        name=name or model.rsplit("/", 1)[-1].lower(), family="upstream", description=f"{model} at {Address(address).masked}",
        licence=licence, source=UpstreamSource(url=address, model=model, key_variable=key_variable),
        formats=(), capabilities=("chat", "function_calling"),
    )  # fmt: skip
