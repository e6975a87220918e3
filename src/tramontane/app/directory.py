"""The catalogue as the engine and the doors ask it: which model a name means, and which models a caller may use."""

from pathlib import Path

import msgspec

from tramontane.app.copied import unregistered
from tramontane.engine.ports import ModelRef
from tramontane.entrypoints.api import ModelCard
from tramontane.foundation.errors import Forbidden
from tramontane.foundation.nouns import Caller, Sampling
from tramontane.foundation.store.scope import Scope
from tramontane.records.catalog.catalogue import Catalogue
from tramontane.records.catalog.errors import ModelNotFound
from tramontane.records.catalog.nouns import InstalledModel


class Directory:
    """Answers from the catalogue's picture in memory. Fulfils the engine's `ModelDirectory`."""

    def __init__(self, catalogue: Catalogue, home: Path | None = None) -> None:
        self._catalogue = catalogue
        self._home = home

    def resolve(self, caller: Caller, name: str) -> ModelRef:
        try:
            model = self._catalogue.installed(Scope.of(caller), name)
        except ModelNotFound as error:
            if self._home is None or unregistered(self._home, self._catalogue, name) is None:
                raise
            cure = f"its folder lies in the data folder; there the operator runs `tramontane models add models/{name}`"
            raise ModelNotFound(f"{error.message.partition(';')[0]}; {cure}", error.near) from None
        self._require_permitted(caller, model.name)
        return _ref(model)

    def named(self, name: str) -> ModelRef:
        return _ref(self._catalogue.by_name(name))

    async def cards(self, caller: Caller) -> list[ModelCard]:
        """The models this caller may use now."""
        scope = Scope.of(caller)
        models = self._catalogue.models(scope)
        aliases = {name: self._catalogue.aliases_of(scope, name) for name in models}
        return [
            _card(model, aliases[name])
            for name, model in sorted(models.items())
            if caller.models is None or _permitted(caller.models, name, aliases[name])
        ]

    def _require_permitted(self, caller: Caller, name: str) -> None:
        """Raises Forbidden where the caller's key is limited to other models."""
        limit = caller.models
        if limit is not None and not _permitted(limit, name, self._catalogue.aliases_of(Scope.of(caller), name)):
            raise Forbidden(
                f"this key may not use {name}, only {', '.join(sorted(limit))}; use one of these, or a key without that limit",
                param="model",
                code="model_not_permitted",
            )


def _permitted(limit: frozenset[str], name: str, aliases: tuple[str, ...]) -> bool:
    return name in limit or not limit.isdisjoint(aliases)


def _ref(model: InstalledModel) -> ModelRef:
    return ModelRef(name=model.name, sampling=Sampling(**msgspec.structs.asdict(model.entry.sampling)))


def _card(model: InstalledModel, aliases: tuple[str, ...]) -> ModelCard:
    entry = model.entry
    return ModelCard(
        name=entry.name,
        aliases=aliases,
        label=entry.name,
        description=entry.description,
        owned_by=entry.owner or "tramontane",
        created_s=model.added_ns // 1_000_000_000,
        context_tokens=model.context_tokens or 32768,
        capabilities=frozenset(entry.capabilities),
        default_temperature=entry.sampling.temperature,
    )
