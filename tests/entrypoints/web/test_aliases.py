"""Other names for a model, given by administrators on the models' page: for their own workspace, and for nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.entrypoints.web.conftest import Page, Site
from tests.entrypoints.web.studio_site import with_studio
from tests.fakes.doors import KEY
from tests.fakes.studio import HUGE, OPEN, Workbench, installed_by_hand, opened_studio

from tramontane.foundation.store.database import Database
from tramontane.records.access.nouns import Role
from tramontane.records.catalog.errors import ModelNotFound
from tramontane.records.catalog.nouns import UpstreamSource, Visibility

ALIAS = "mistral-small-latest"
PATH = f"/web/models/{OPEN}/aliases"


@pytest.fixture
async def bench(database: Database, home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Workbench]:
    async with opened_studio(database, home, "http://127.0.0.1:9", monkeypatch) as made:
        installed_by_hand(made)
        yield made


@pytest.fixture
def studio(site: Site, database: Database, bench: Workbench) -> Site:
    return with_studio(site, database, bench)


async def shown(page: Page, name: str = OPEN) -> dict[str, Any]:
    _, body = await page.ask("GET", "/web/models")
    found: dict[str, Any] = next(model for model in body["models"] if model["name"] == name)
    return found


async def test_a_name_means_the_model_here_and_nothing_elsewhere(studio: Site, bench: Workbench) -> None:
    ada = await studio.person("Ada", "administrator")
    eve = await studio.person("Eve", "administrator", studio.other)
    assert (await ada.ask("POST", PATH, {"alias": ALIAS})) == (204, None)
    mine = await shown(ada)
    assert mine["aliases"] == [ALIAS] and mine["own_aliases"] == [ALIAS]
    assert bench.catalogue.installed(studio.here, ALIAS).name == OPEN
    theirs = await shown(eve)
    assert theirs["aliases"] == [] and theirs["own_aliases"] == []
    with pytest.raises(ModelNotFound):
        bench.catalogue.installed(studio.other, ALIAS)
    assert (await ada.ask("DELETE", f"{PATH}/{ALIAS}")) == (204, None)
    assert (await shown(ada))["aliases"] == []
    assert (await ada.ask("DELETE", f"{PATH}/{ALIAS}"))[0] == 404


async def test_a_name_moves_from_model_to_model(studio: Site, bench: Workbench) -> None:
    ada = await studio.person("Ada", "administrator")
    await ada.ask("POST", f"/web/models/{HUGE}/aliases", {"alias": ALIAS})
    await ada.ask("POST", PATH, {"alias": ALIAS})
    assert (await shown(ada, HUGE))["own_aliases"] == [] and (await shown(ada))["own_aliases"] == [ALIAS]
    assert (await ada.ask("DELETE", f"/web/models/{HUGE}/aliases/{ALIAS}"))[0] == 404
    again = await ada.ask("POST", f"/web/models/{ALIAS}/aliases", {"alias": "by-its-other-name"})
    assert again[0] == 204 and (await shown(ada))["own_aliases"] == ["by-its-other-name", ALIAS]


async def test_the_organisations_names_are_the_operators(studio: Site, bench: Workbench) -> None:
    ada = await studio.person("Ada", "administrator")
    bench.catalogue.set_alias(studio.here, ALIAS, OPEN, Visibility(studio.here.organisation_id), "operator")
    mine = await shown(ada)
    assert mine["aliases"] == [ALIAS] and mine["own_aliases"] == []
    status, body = await ada.ask("DELETE", f"{PATH}/{ALIAS}")
    assert status == 404 and "tramontane models alias" in body["message"]
    assert (await shown(ada))["aliases"] == [ALIAS]


@pytest.mark.parametrize("role", ["member", "builder"])
async def test_only_administrators_give_names(studio: Site, role: Role) -> None:
    page = await studio.person("Somebody", role)
    assert (await page.ask("POST", PATH, {"alias": ALIAS}))[0] == 403
    assert (await page.ask("DELETE", f"{PATH}/{ALIAS}"))[0] == 403


async def test_nobody_a_key_and_a_foreign_page_are_refused(studio: Site) -> None:
    ada = await studio.person("Ada", "administrator")
    for method, path in (("POST", PATH), ("DELETE", f"{PATH}/{ALIAS}")):
        json = {"alias": ALIAS} if method == "POST" else None
        assert (await studio.page().request(method, path, json=json)).status_code == 401
        foreign = await ada.client.request(method, path, json=json, headers={"x-tramontane-csrf": "x"})
        assert (foreign.status_code, foreign.json()["code"]) == (403, "csrf")
        by_key = await studio.page().request(method, path, json=json, headers={"authorization": f"Bearer {KEY}"})
        assert by_key.status_code == 403


async def test_a_strangers_model_is_as_unknown_as_one_that_never_was(studio: Site, bench: Workbench) -> None:
    eve = await studio.person("Eve", "administrator", studio.other)
    installed_by_hand(bench, HUGE, visibility=Visibility(studio.here.organisation_id, studio.here.workspace_id))
    for method, rest, body in (("POST", "", {"alias": ALIAS}), ("DELETE", f"/{ALIAS}", None)):
        status, found = await eve.ask(method, f"/web/models/{HUGE}/aliases{rest}", body)
        never = (await eve.ask(method, f"/web/models/never/aliases{rest}", body))[1]
        assert status == 404
        assert found["message"].replace(HUGE, "never").split(";")[0] == never["message"].split(";")[0]


@pytest.mark.parametrize(
    ("alias", "status"),
    [
        ("", 422),
        ("../up", 422),
        ("a b", 422),
        ("x" * 129, 422),
        ("nul\x00", 422),
        ("<b>", 422),
        (HUGE, 409),
        (OPEN, 409),
    ],
)
async def test_what_can_be_no_name(studio: Site, alias: str, status: int) -> None:
    ada = await studio.person("Ada", "administrator")
    got, body = await ada.ask("POST", PATH, {"alias": alias})
    assert got == status, body
    assert (await shown(ada))["own_aliases"] == []


async def test_where_a_model_is_served_is_told_by_the_host_alone(studio: Site, bench: Workbench) -> None:
    mia = await studio.person("Mia")
    assert (await shown(mia))["served_at"] is None
    source = UpstreamSource(url="http://ada:secret@gpu.example.org:8000/v1?token=secret", model="m")
    entry = msgspec.structs.replace(bench.catalogue.view.entries[HUGE], source=source)
    installed_by_hand(bench, HUGE, entry=entry, engine="upstream")
    told = await shown(mia, HUGE)
    assert told["served_at"] == "gpu.example.org"
    assert "secret" not in str(told) and "8000" not in str(told)
