"""The models' page over real records: what is fetched arrives whole or not at all, and says in words why not."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.fakes.hub import FakeHub, running_hub
from tests.fakes.studio import GATED, HUGE, OPEN, Workbench, filled, installed_by_hand, opened_studio
from tests.waiting import until

from tramontane.adapters.sources.folders import ModelFolders
from tramontane.app.servers import Servers
from tramontane.app.studio import Studio
from tramontane.entrypoints.web.studio_ports import ModelView
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import Conflict, ModelUnavailable, NotFound
from tramontane.foundation.nouns import Caller
from tramontane.foundation.settings import Settings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access.nouns import Person
from tramontane.records.catalog.errors import LicenceNotAccepted, ModelNotFound
from tramontane.records.catalog.nouns import Visibility

ADA = Caller(organisation_id="org", workspace_id="ws_one", principal_id="usr_ada", person_id="usr_ada")
PERSON = Person(organisation_id="org", person_id="usr_ada", name="Ada", email="ada@example.org", created_ns=1)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub() as server:
        yield filled(server)


@pytest.fixture
async def bench(
    database: Database,
    home: Path,
    hub: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Workbench]:
    async with opened_studio(database, home, hub.url, monkeypatch) as made:
        yield made


async def view(studio: Studio, name: str) -> ModelView:
    models, _ = await studio.models(Scope.of(ADA))
    return next(model for model in models if model.entry.name == name)


def state(bench: Workbench, name: str = OPEN) -> str:
    return bench.studio.board().standings[name].state


async def test_a_pull_arrives_and_names_who_asked(bench: Workbench) -> None:
    assert state(bench) == "absent"
    await bench.studio.pull(ADA, OPEN)
    assert state(bench) in ("fetching", "installed")
    await until(lambda: state(bench) == "installed")
    model = bench.catalogue.by_name(OPEN)
    assert model.added_by == "usr_ada" and model.folder == str(bench.home / "models" / OPEN)
    assert (await view(bench.studio, OPEN)).here


async def test_a_wrong_checksum_leaves_nothing_installed_and_says_so(bench: Workbench, hub: FakeHub) -> None:
    hub.promised_sha256["model.safetensors"] = "0" * 64
    await bench.studio.pull(ADA, OPEN)
    await until(lambda: state(bench) == "failed")
    shown = await view(bench.studio, OPEN)
    assert "model.safetensors" in shown.standing.error and "SHA-256" in shown.standing.error
    assert not shown.here and not (bench.home / "models" / OPEN).exists()
    del hub.promised_sha256["model.safetensors"]
    await bench.studio.pull(ADA, OPEN)
    await until(lambda: state(bench) == "installed")
    assert (await view(bench.studio, OPEN)).standing.error == ""


async def test_without_a_network_the_words_are_clear(
    database: Database, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_studio(database, home, "http://127.0.0.1:9", monkeypatch) as bench:
        await bench.studio.pull(ADA, OPEN)
        await until(lambda: state(bench) == "failed")
        assert "cannot be reached" in bench.studio.board().standings[OPEN].error


async def test_a_process_that_ends_leaves_an_absent_model(
    database: Database,
    home: Path,
    hub: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.cut_after["model.safetensors"] = 1000
    async with opened_studio(database, home, hub.url, monkeypatch) as bench:
        await bench.studio.pull(ADA, OPEN)
        await until(lambda: any((home / "models" / ".part").rglob("*")))
    async with opened_studio(database, home, hub.url, monkeypatch) as bench:
        bench.catalogue.refresh()
        assert state(bench) in ("absent", "installed")
        assert (state(bench) == "installed") == (home / "models" / OPEN).exists()


async def test_a_licence_is_accepted_by_a_person_before_anything_is_fetched(bench: Workbench, hub: FakeHub) -> None:
    with pytest.raises(LicenceNotAccepted):
        await bench.studio.pull(ADA, GATED)
    assert hub.served == [] and state(bench, GATED) == "absent"
    await bench.studio.accept_licence(ADA, PERSON, GATED)
    agreed = (await view(bench.studio, GATED)).acceptance
    assert agreed is not None and agreed.accepted_by == "Ada (usr_ada)" and agreed.accepted_ns > 0
    await bench.studio.pull(ADA, GATED)
    await until(lambda: state(bench, GATED) == "installed")


async def test_the_verdict_is_the_catalogues(bench: Workbench) -> None:
    shown = await view(bench.studio, HUGE)
    assert (shown.fit.verdict, shown.fit.obstacle) == ("does_not_fit", "memory")
    assert shown.fit.needed_bytes > shown.fit.usable_bytes and "memory" in shown.fit.reason
    assert (await view(bench.studio, OPEN)).fit.verdict == "fits"


async def test_loading_goes_through_the_engine_and_its_refusal_is_told(bench: Workbench) -> None:
    installed_by_hand(bench)
    bench.engine.go.clear()
    await bench.studio.load(ADA, OPEN)
    assert state(bench) == "loading" and bench.studio.board().steps[OPEN].stage == "verifying"
    bench.engine.go.set()
    await until(lambda: state(bench) == "loaded")
    bench.engine.go.clear()
    await bench.studio.unload(ADA, OPEN)
    draining = bench.studio.board().standings[OPEN]
    assert (draining.state, draining.unloading) == ("loaded", True)
    bench.engine.go.set()
    await until(lambda: state(bench) == "installed")
    bench.engine.refusal = ModelUnavailable("too large; unload one", retry_after_s=1, code="out_of_memory")
    with pytest.raises(ModelUnavailable, match="unload one"):
        await bench.studio.load(ADA, OPEN)
    assert bench.studio.board().standings[OPEN].error == "too large; unload one"


async def test_a_removed_model_is_gone_and_its_server_ends(bench: Workbench) -> None:
    await bench.studio.pull(ADA, OPEN)
    await until(lambda: state(bench) == "installed")
    await bench.studio.load(ADA, OPEN)
    await bench.studio.remove(ADA, OPEN)
    await until(lambda: bench.engine.states[OPEN] == "absent")
    assert state(bench) == "absent" and not (bench.home / "models" / OPEN).exists()
    with pytest.raises(ModelNotFound):
        await bench.studio.load(ADA, OPEN)


async def test_what_is_being_fetched_is_not_removed(bench: Workbench) -> None:
    installed_by_hand(bench)
    held = bench.studio._downloads.start(OPEN, lambda report, stop: stop.wait(20))
    with pytest.raises(Conflict, match="stop that first"):
        await bench.studio.remove(ADA, OPEN)
    assert state(bench) == "fetching"
    await bench.studio.cancel(ADA, OPEN)
    assert bench.studio.board().steps.get(OPEN) is None or bench.studio.board().steps[OPEN].stage == "stopping"
    await until(lambda: held.over)
    assert state(bench) == "installed"


async def test_what_a_stopped_fetch_left_is_shown_and_dropped(bench: Workbench, hub: FakeHub) -> None:
    hub.cut_after["model.safetensors"] = 1000
    hub.promised_sha256["model.safetensors"] = "0" * 64  # so that it fails however often it is tried
    await bench.studio.pull(ADA, OPEN)
    await until(lambda: state(bench) == "failed")
    part = bench.home / "models" / ".part" / OPEN
    held = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
    assert (await view(bench.studio, OPEN)).partial_bytes == held > 0
    await bench.studio.remove(ADA, OPEN)
    shown = await view(bench.studio, OPEN)
    assert (shown.partial_bytes, shown.standing.state, part.exists()) == (0, "absent", False)
    with pytest.raises(NotFound):
        await bench.studio.remove(ADA, OPEN)
    hub.cut_after.clear()
    hub.promised_sha256.clear()
    await bench.studio.pull(ADA, OPEN)
    await until(lambda: state(bench) == "installed")


async def test_what_another_process_fetches_is_not_dropped(bench: Workbench) -> None:
    with ModelFolders(bench.home).pulling(OPEN) as part:
        (part / "files" / "some").write_bytes(b"half")
        with pytest.raises(Conflict, match="being pulled"):
            await bench.studio.remove(ADA, OPEN)
        assert (part / "files" / "some").exists()
    await bench.studio.remove(ADA, OPEN)
    assert not part.exists()


async def test_a_model_of_another_workspace_is_not_found(bench: Workbench) -> None:
    installed_by_hand(bench, visibility=Visibility("org", "ws_two"))
    assert OPEN not in bench.studio.visible(Scope.of(ADA))
    for verb in (bench.studio.pull, bench.studio.cancel, bench.studio.load, bench.studio.unload, bench.studio.remove):
        with pytest.raises(ModelNotFound):
            await verb(ADA, OPEN)
    with pytest.raises(ModelNotFound):
        await bench.studio.accept_licence(ADA, PERSON, OPEN)


async def test_memory_of_a_removed_model_is_still_known(bench: Workbench) -> None:
    """Its server may still be answering: the engine goes on counting it, and does not stumble over the missing row."""
    installed_by_hand(bench)
    servers = Servers(Settings.model_validate({"home": bench.home}), bench.catalogue, SystemClock())
    needed = servers.memory_bytes(OPEN)
    bench.catalogue.forget(Scope.of(ADA), OPEN, installation=True)
    shutil.rmtree(bench.home / "models", ignore_errors=True)
    assert servers.memory_bytes(OPEN) == needed > 0
    with pytest.raises(ModelNotFound):
        servers.memory_bytes("never-there")
