"""The catalogue over a real database, once on each kind: what is kept comes back, and only to those who may see it."""

import msgspec
import pytest
from tests.records.catalog.models import ELSEWHERE, HERE, NEXT_DOOR, SMALL, installed, private

from tramontane.foundation.errors import Forbidden, InvalidFields, NotFound
from tramontane.foundation.store.database import Database
from tramontane.records.catalog.catalogue import Catalogue
from tramontane.records.catalog.errors import LicenceNotAccepted, ModelNotFound, NameTaken
from tramontane.records.catalog.nouns import EVERYONE, LocalSource, SamplingDefaults, Visibility


class FixedClock:
    """Always the same moment."""

    def now_ns(self) -> int:
        return 42

    def monotonic_ns(self) -> int:
        return 42


@pytest.fixture
def catalogue(database: Database) -> Catalogue:
    return Catalogue(database, FixedClock())


def another(database: Database) -> Catalogue:
    """A second process's picture of the same database."""
    made = Catalogue(database, FixedClock())
    made.refresh()
    return made


OWN = installed(private("own-model"), Visibility(HERE.organisation_id, HERE.workspace_id))


def test_a_registered_model_is_there_for_everybody(catalogue: Catalogue, database: Database) -> None:
    catalogue.register(SMALL)
    for known in (catalogue, another(database)):
        assert known.installed(HERE, SMALL.name) == SMALL
        assert known.installed(ELSEWHERE, SMALL.name) == SMALL
        assert known.by_name(SMALL.name) == SMALL


def test_a_newer_release_advises_models_that_an_older_one_installed(catalogue: Catalogue) -> None:
    """The same weights under the same name; another model under that name keeps what came with it."""
    older = msgspec.structs.replace(SMALL.entry, sampling=SamplingDefaults(temperature=0.9))
    catalogue.register(installed(older))
    assert catalogue.by_name(SMALL.name).entry.sampling == SMALL.entry.sampling != older.sampling
    other = msgspec.structs.replace(older, source=LocalSource(path="/elsewhere/small.gguf"))
    catalogue.register(installed(other))
    assert catalogue.by_name(SMALL.name).entry.sampling == older.sampling


def test_a_private_model_is_there_for_its_workspace(catalogue: Catalogue) -> None:
    catalogue.register(OWN)
    assert list(catalogue.models(HERE)) == ["own-model"]
    for scope in (NEXT_DOOR, ELSEWHERE):
        assert catalogue.models(scope) == {}
        assert "own-model" not in catalogue.entries(scope)
        with pytest.raises(ModelNotFound):
            catalogue.installed(scope, "own-model")
        with pytest.raises(ModelNotFound):
            catalogue.forget(scope, "own-model", installation=True)


def test_a_name_belongs_to_one_model(catalogue: Catalogue) -> None:
    catalogue.register(OWN)
    catalogue.register(OWN)
    with pytest.raises(NameTaken):
        catalogue.register(
            installed(private("own-model"), Visibility(ELSEWHERE.organisation_id, ELSEWHERE.workspace_id))
        )
    with pytest.raises(NameTaken):
        catalogue.require_free_name("own-model")
    with pytest.raises(InvalidFields):
        catalogue.require_free_name("../x")


def test_removing(catalogue: Catalogue, database: Database) -> None:
    catalogue.register(SMALL)
    catalogue.register(OWN)
    with pytest.raises(Forbidden):
        catalogue.forget(HERE, SMALL.name)
    assert catalogue.forget(HERE, "own-model") == OWN
    assert catalogue.forget(HERE, SMALL.name, installation=True) == SMALL
    assert another(database).models(HERE) == {}


def test_aliases_are_kept_and_scoped(catalogue: Catalogue, database: Database) -> None:
    catalogue.register(SMALL)
    ours = Visibility(HERE.organisation_id, HERE.workspace_id)
    catalogue.set_alias(HERE, "mistral-small-latest", SMALL.name, Visibility(), "admin")
    catalogue.set_alias(HERE, "team-model", "mistral-small-latest", ours, "admin")
    known = another(database)
    assert known.installed(HERE, "team-model") == SMALL
    assert known.aliases_of(HERE, SMALL.name) == ("mistral-small-latest", "team-model")
    assert known.aliases_of(ELSEWHERE, SMALL.name) == ("mistral-small-latest",)
    with pytest.raises(ModelNotFound):
        known.installed(NEXT_DOOR, "team-model")
    catalogue.drop_alias("team-model", ours)
    with pytest.raises(ModelNotFound):
        catalogue.installed(HERE, "team-model")
    with pytest.raises(NotFound):
        catalogue.drop_alias("team-model", ours)


def test_an_alias_can_be_moved(catalogue: Catalogue) -> None:
    catalogue.register(SMALL)
    catalogue.register(OWN)
    ours = Visibility(HERE.organisation_id, EVERYONE)
    catalogue.set_alias(HERE, "fast", SMALL.name, ours, "admin")
    assert catalogue.installed(HERE, "fast") == SMALL
    catalogue.set_alias(HERE, "fast", "own-model", ours, "admin")
    assert catalogue.installed(HERE, "fast") == OWN
    with pytest.raises(InvalidFields):
        catalogue.set_alias(HERE, "fast", "fast", ours, "admin")


def test_a_licence_is_accepted_once_and_on_record(catalogue: Catalogue, database: Database) -> None:
    gated = installed(catalogue.entry(HERE, "llama-3.2-1b-instruct"))
    catalogue.register(gated)
    assert catalogue.models(HERE) == {}
    with pytest.raises(LicenceNotAccepted):
        catalogue.installed(HERE, gated.name)
    with pytest.raises(LicenceNotAccepted):
        catalogue.require_licence(HERE, gated.entry)
    made = catalogue.accept_licence(HERE, "llama-3.2", "person_1")
    catalogue.accept_licence(HERE, "llama-3.2", "person_2")
    known = another(database)
    assert known.view.acceptances == (made,)
    assert (made.accepted_by, made.accepted_ns, len(made.licence_hash)) == ("person_1", 42, 64)
    assert known.installed(HERE, gated.name) == gated
    with pytest.raises(LicenceNotAccepted):
        known.installed(ELSEWHERE, gated.name)
    with pytest.raises(NotFound, match=r"apache-2\.0"):
        catalogue.accept_licence(HERE, "none-such", "person_1")


def test_an_answer_does_not_outlive_a_change(catalogue: Catalogue, database: Database) -> None:
    catalogue.register(OWN)
    other = another(database)
    assert other.installed(HERE, "own-model") == OWN
    catalogue.forget(HERE, "own-model")
    other.refresh()
    with pytest.raises(ModelNotFound):
        other.installed(HERE, "own-model")
