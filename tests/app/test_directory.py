"""What a name means to the engine: the entry's own name, and the sampling its makers advise."""

import msgspec
import pytest
from tests.records.catalog.models import HERE, SHIPPED, SMALL, installed

from tramontane.app.directory import Directory
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import Forbidden
from tramontane.foundation.nouns import Caller, Sampling
from tramontane.foundation.store.database import Database
from tramontane.records.catalog.catalogue import Catalogue
from tramontane.records.catalog.nouns import ModelEntry, SamplingDefaults, Visibility

CALLER = Caller(organisation_id=HERE.organisation_id, workspace_id=HERE.workspace_id, principal_id="p")
ADVISED = SamplingDefaults(temperature=0.3, top_p=0.8, top_k=20, min_p=0.01, repetition_penalty=1.05)


async def test_a_name_means_its_entry_with_the_advised_sampling(database: Database) -> None:
    catalogue = Catalogue(database, SystemClock())
    own = "our-small-model"
    catalogue.register(installed(msgspec.structs.replace(SMALL.entry, name=own, sampling=ADVISED)))
    directory = Directory(catalogue)
    expected = Sampling(temperature=0.3, top_p=0.8, top_k=20, min_p=0.01, repetition_penalty=1.05)
    for ref in (directory.resolve(CALLER, own), directory.named(own)):
        assert (ref.name, ref.sampling) == (own, expected)
    (card,) = await directory.cards(CALLER)
    assert card.default_temperature == 0.3


async def test_a_limited_key_has_only_its_models_by_name_or_alias(database: Database) -> None:
    catalogue = Catalogue(database, SystemClock())
    other = msgspec.structs.replace(SMALL.entry, name="other", aliases=())
    catalogue.register(SMALL)
    catalogue.register(installed(other))
    catalogue.set_alias(HERE, "fast", SMALL.name, Visibility(), "ada")
    directory = Directory(catalogue)
    for name in (SMALL.name, "fast"):
        limited = msgspec.structs.replace(CALLER, models=frozenset({name}))
        assert [card.name for card in await directory.cards(limited)] == [SMALL.name]
        for asked in (SMALL.name, "fast"):
            assert directory.resolve(limited, asked).name == SMALL.name
        with pytest.raises(Forbidden, match=f"only {name}") as refusal:
            directory.resolve(limited, "other")
        assert (refusal.value.param, refusal.value.code) == ("model", "model_not_permitted")
    nothing = msgspec.structs.replace(CALLER, models=frozenset({"removed"}))
    assert await directory.cards(nothing) == []
    assert {card.name for card in await directory.cards(CALLER)} == {SMALL.name, "other"}


def test_every_advice_of_the_catalogue_has_a_place_in_a_request() -> None:
    assert {field.name for field in msgspec.structs.fields(SamplingDefaults)} <= set(Sampling.__struct_fields__)
    assert any(_advises(entry) for entry in SHIPPED.entries.values())


def _advises(entry: ModelEntry) -> bool:
    return entry.sampling != SamplingDefaults()
