"""Names, licences and engines: who gets which model for a name, and what they are told otherwise."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.records.catalog.models import ELSEWHERE, EVERYBODY, HERE, NEXT_DOOR, SHIPPED, SMALL, installed, private

from tramontane.foundation.errors import InvalidFields
from tramontane.records.catalog import resolve
from tramontane.records.catalog.aliases import applicable, check_new_alias, follow
from tramontane.records.catalog.builtin import parse_catalogue, shipped
from tramontane.records.catalog.engines import choose_engine, expected_engine
from tramontane.records.catalog.errors import CatalogueBroken, LicenceNotAccepted, ModelNotFound, NameTaken, NoEngine
from tramontane.records.catalog.licences import acceptance, is_accepted, licence_named
from tramontane.records.catalog.nouns import (
    EVERYONE,
    Alias,
    HubSource,
    InstalledModel,
    Visibility,
    WheelSource,
)
from tramontane.records.catalog.resolve import View


def view(*models: InstalledModel, aliases: tuple[Alias, ...] = (), **options: object) -> View:
    return View(
        entries={**SHIPPED.entries, **{model.name: model.entry for model in models}},
        licences=SHIPPED.licences,
        installed={model.name: model for model in models},
        aliases=aliases,
        entry_visibilities={model.name: model.visibility for model in models},
        **options,  # type: ignore[arg-type]
    )


def alias(name: str, target: str, visibility: Visibility = EVERYBODY) -> Alias:
    return Alias(name=name, target=target, visibility=visibility)


def test_an_alias_may_point_anywhere() -> None:
    picture = view(SMALL, aliases=(alias("mistral-small-latest", SMALL.name),))
    assert resolve.installed(picture, HERE, "mistral-small-latest") is SMALL
    assert resolve.aliases_of(picture, HERE, SMALL.name) == ("mistral-small-latest",)


def test_the_narrower_alias_wins() -> None:
    other = installed(private("other"))
    aliases = (
        alias("fast", SMALL.name),
        alias("fast", "other", Visibility("org", EVERYONE)),
        alias("fast", SMALL.name, Visibility("org", "ws")),
    )
    picture = view(SMALL, other, aliases=aliases)
    assert resolve.installed(picture, HERE, "fast") is SMALL
    assert resolve.installed(picture, NEXT_DOOR, "fast") is other
    assert resolve.installed(picture, ELSEWHERE, "fast") is SMALL


def test_a_stranger_learns_nothing_of_a_private_model() -> None:
    secret = installed(private("secret-project"), Visibility("org", "ws"))
    picture = view(SMALL, secret, aliases=(alias("short", "secret-project", Visibility("org", "ws")),))
    assert resolve.installed(picture, HERE, "short") is secret
    for scope in (NEXT_DOOR, ELSEWHERE):
        for name in ("secret-project", "secret-projekt", "short"):
            with pytest.raises(ModelNotFound) as caught:
                resolve.installed(picture, scope, name)
            assert "secret-project" not in caught.value.message.replace(repr(name), "")
            assert caught.value.near == () or "secret-project" not in caught.value.near


def test_an_unknown_model_lists_the_near_names() -> None:
    with pytest.raises(ModelNotFound, match="did you mean smollm2-135m-instruct") as caught:
        resolve.installed(view(SMALL), HERE, "smollm2-135m-instrukt")
    assert caught.value.near[0] == "smollm2-135m-instruct"
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_model_known_but_not_here_says_how_to_fetch_it() -> None:
    with pytest.raises(ModelNotFound, match=r"models pull mistral-7b-instruct-v0\.3"):
        resolve.installed(view(SMALL), HERE, "open-mistral-7b")


def test_no_name_at_all() -> None:
    with pytest.raises(InvalidFields):
        resolve.installed(view(SMALL), HERE, "")


@given(st.text(min_size=1, max_size=300))
def test_any_name_gets_a_model_or_a_clear_no(name: str) -> None:
    try:
        resolve.installed(view(SMALL), HERE, name)
    except ModelNotFound as error:
        assert len(error.message) < 600
        assert set(error.near) <= {SMALL.name}


NAMES = st.sampled_from(["a", "b", "c", "d", "model"])


@given(st.dictionaries(NAMES, NAMES))
def test_following_aliases_always_ends_at_a_model_or_nowhere(aliases: dict[str, str]) -> None:
    models = frozenset({"model"})
    for name in ("a", "b", "c", "d", "model"):
        assert follow(name, aliases, models) in (None, "model")
    assert follow("model", aliases, models) == "model"


@given(st.lists(st.tuples(NAMES, NAMES), max_size=6))
def test_aliases_accepted_one_by_one_always_lead_to_a_model(wishes: list[tuple[str, str]]) -> None:
    models = frozenset({"model"})
    kept: list[Alias] = []
    for name, target in wishes:
        wish = alias(name, target)
        try:
            check_new_alias(wish, kept, models)
        except (InvalidFields, NameTaken):
            continue
        kept = [known for known in kept if known.name != name] + [wish]
        seen = applicable(kept, "org", "ws")
        assert follow(name, seen, models) == "model"


def test_an_alias_cannot_hide_a_model_or_lead_nowhere() -> None:
    models = frozenset({"model"})
    with pytest.raises(NameTaken):
        check_new_alias(alias("model", "model"), (), models)
    with pytest.raises(InvalidFields, match="leads to no model"):
        check_new_alias(alias("a", "gone"), (), models)
    with pytest.raises(InvalidFields, match="leads to no model"):
        check_new_alias(alias("a", "b"), (alias("b", "a"),), models)
    with pytest.raises(InvalidFields, match="letters, digits"):
        check_new_alias(alias("a/b", "model"), (), models)


def test_a_licence_is_asked_for_until_it_is_accepted() -> None:
    gated = installed(SHIPPED.entries["llama-3.2-1b-instruct"])
    with pytest.raises(LicenceNotAccepted, match=r"Llama 3\.2 Community License.*--accept-licence`"):
        resolve.installed(view(gated), HERE, gated.name)
    licence = SHIPPED.licences["llama-3.2"]
    agreed = acceptance(licence, "org", "admin", 7)
    assert (agreed.accepted_by, agreed.accepted_ns) == ("admin", 7)
    assert resolve.installed(view(gated, acceptances=(agreed,)), HERE, gated.name) is gated
    with pytest.raises(LicenceNotAccepted):
        resolve.installed(view(gated, acceptances=(agreed,)), ELSEWHERE, gated.name)


def test_another_wording_has_to_be_accepted_anew() -> None:
    licence = SHIPPED.licences["mrl-0.1"]
    agreed = acceptance(licence, "org", "admin", 7)
    changed = msgspec.structs.replace(licence, summary="Something else.")
    assert is_accepted(licence, [agreed], "org")
    assert not is_accepted(changed, [agreed], "org")


def test_an_open_licence_asks_for_nothing() -> None:
    assert is_accepted(SHIPPED.licences["apache-2.0"], [], "org")


@pytest.mark.parametrize(
    ("stated", "taken"),
    [("apache-2.0", "apache-2.0"), ("MIT", "mit"), ("llama-3.2", "unstated"), ("own", "unstated"), ("", "unstated")],
)
def test_a_card_cannot_talk_its_way_past_an_agreement(stated: str, taken: str) -> None:
    assert licence_named(stated, SHIPPED.licences) == taken


def test_the_shipped_catalogue_is_sober() -> None:
    for licence in SHIPPED.licences.values():
        assert licence.needs_acceptance == (licence.kind != "open"), licence.id
        assert licence.url.startswith("https://")
    names = set(SHIPPED.entries)
    brought = [other for entry in SHIPPED.entries.values() for other in entry.aliases]
    assert len(brought) == len(set(brought)) and not names & set(brought)
    for entry in SHIPPED.entries.values():
        assert bool(entry.files) == isinstance(entry.source, WheelSource), (
            f"{entry.name}: checksums only where they last"
        )
        if isinstance(entry.source, HubSource):
            assert entry.source.include, f"{entry.name}: says which files it needs"
    embedded = SHIPPED.entries["smollm2-135m-instruct"]
    assert embedded.files[0].sha256 == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert SHIPPED.licences["mnpl-0.1"].kind == "research"
    assert SHIPPED.entries["codestral-22b-v0.1"].licence == "mnpl-0.1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[model]", "catalogue"),
        ("licence = []\nmodel = []\nother = 1", "other"),
        ('licence = []\n[[model]]\nname = "x"', "missing required field"),
    ],
)
def test_a_broken_catalogue_says_where(text: str, problem: str) -> None:
    with pytest.raises(CatalogueBroken, match=problem):
        parse_catalogue(text, "catalogue")


def test_the_engine_follows_from_what_each_can_run() -> None:
    assert choose_engine("m", "llama", "gguf", None, False) == "openvino"
    assert choose_engine("m", "mamba", "gguf", "no graph", True) == "llamacpp"
    with pytest.raises(NoEngine, match="'mamba': no graph; install the extra `llamacpp`"):
        choose_engine("m", "mamba", "gguf", "no graph.", False)
    with pytest.raises(NoEngine, match="vLLM"):
        choose_engine("m", "mamba", "safetensors", "no graph", True)


def test_the_engine_to_expect_before_the_files_are_here() -> None:
    families = frozenset({"llama", "mistral"})
    assert expected_engine(SHIPPED.entries["mistral-7b-instruct-v0.3"], families, False) == "openvino"
    assert expected_engine(SHIPPED.entries["ministral-3-3b-instruct-2512"], families, True) == "llamacpp"
    with pytest.raises(NoEngine):
        expected_engine(SHIPPED.entries["mistral-small-3.2-24b-instruct-2506"], families, True)


def test_no_shipped_model_is_said_to_see_what_the_engines_here_leave_out() -> None:
    # What a page offers (attach a picture) would be refused by the model's own server.
    assert [entry.name for entry in shipped().entries.values() if "vision" in entry.capabilities] == []
