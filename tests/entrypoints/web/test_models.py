"""Models in the browser: who may do what, what a stranger learns (nothing), and events that need no memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.entrypoints.web.conftest import Page, Site
from tests.entrypoints.web.studio_site import with_studio
from tests.fakes.doors import KEY
from tests.fakes.hub import FakeHub, running_hub
from tests.fakes.studio import GATED, OPEN, Workbench, filled, installed_by_hand, opened_studio
from tests.waiting import PATIENCE_S, until

from tramontane.entrypoints.api.drain import Drain
from tramontane.entrypoints.web.model_events import Boards, ModelEvents, Telling
from tramontane.entrypoints.web.studio_ports import Board, Standing, Step
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.store.database import Database
from tramontane.records.access.nouns import Role
from tramontane.records.catalog.nouns import Visibility

VERBS = ("pull", "cancel", "load", "unload", "accept-licence")
CHANGES: list[tuple[str, str]] = [*(("POST", f"/{verb}") for verb in VERBS), ("DELETE", "")]
BUILDERS = {"/load", "/unload"}
HOSTILE = [
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "a" * 5000,
    "%00",
    "<script>alert(1)</script>",
    "x'%3B--",
    "%F0%9F%92%A9",
]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub() as server:
        yield filled(server)


@pytest.fixture
async def bench(
    database: Database, home: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Workbench]:
    async with opened_studio(database, home, hub.url, monkeypatch) as made:
        yield made


@pytest.fixture
def studio(site: Site, database: Database, bench: Workbench) -> Site:
    return with_studio(site, database, bench)


@pytest.mark.parametrize("role", ["member", "builder", "administrator"])
async def test_roles(studio: Site, bench: Workbench, role: Role) -> None:
    page = await studio.person("Somebody", role)
    assert (await page.ask("GET", "/web/models"))[0] == 200
    for method, verb in CHANGES:
        installed_by_hand(bench)
        allowed = role == "administrator" or (role == "builder" and verb in BUILDERS)
        status, body = await page.ask(method, f"/web/models/{OPEN}{verb}")
        assert (status in (202, 204)) == allowed, (method, verb, body)
        if not allowed:
            assert status == 403
        await page.ask("POST", f"/web/models/{OPEN}/cancel")
        await until(lambda: bench.studio.board().standings[OPEN].state != "fetching")


async def test_without_a_session_nothing_opens(studio: Site) -> None:
    for method, path in [("GET", ""), ("GET", "/events"), *((method, f"/{OPEN}{verb}") for method, verb in CHANGES)]:
        assert (await studio.page().request(method, f"/web/models{path}")).status_code == 401, path


async def test_neither_a_strangers_page_nor_a_key_opens_them(studio: Site) -> None:
    ada = await studio.person("Ada", "administrator")
    for method, verb in CHANGES:
        foreign = await ada.client.request(method, f"/web/models/{OPEN}{verb}", headers={"x-tramontane-csrf": "x"})
        assert (foreign.status_code, foreign.json()["code"]) == (403, "csrf"), verb
        by_key = await studio.page().request(
            method, f"/web/models/{OPEN}{verb}", headers={"authorization": f"Bearer {KEY}"}
        )
        assert by_key.status_code == 403, verb
    answer = await ada.client.get("/web/models")
    assert answer.headers["cache-control"] == "no-store"


async def test_another_workspaces_model_is_as_unknown_as_one_that_never_was(studio: Site, bench: Workbench) -> None:
    eve = await studio.person("Eve", "administrator", studio.other)
    installed_by_hand(bench, visibility=Visibility(studio.here.organisation_id, studio.here.workspace_id))
    _, body = await eve.ask("GET", "/web/models")
    assert OPEN not in {model["name"] for model in body["models"]}
    for method, verb in CHANGES:
        status, found = await eve.ask(method, f"/web/models/{OPEN}{verb}")
        never = (await eve.ask(method, f"/web/models/never{verb}"))[1]
        assert status == 404, verb
        assert found["message"].replace(OPEN, "never").split(";")[0] == never["message"].split(";")[0]
        assert OPEN not in never["message"]


async def test_an_unfinished_fetch_is_shown_to_all_and_dropped_by_administrators(
    studio: Site, bench: Workbench
) -> None:
    files = bench.home / "models" / ".part" / OPEN / "files"
    files.mkdir(parents=True)
    (files / "half").write_bytes(b"x" * 1234)
    bob, ada = await studio.person("Bob", "builder"), await studio.person("Ada", "administrator")

    async def partial(page: Page) -> int | None:
        _, body = await page.ask("GET", "/web/models")
        return next(model["partial_bytes"] for model in body["models"] if model["name"] == OPEN)

    assert (await partial(bob), (await bob.ask("DELETE", f"/web/models/{OPEN}"))[0]) == (1234, 403)
    assert (await ada.ask("DELETE", f"/web/models/{OPEN}"))[0] == 204
    assert (await partial(ada), files.exists()) == (None, False)
    assert (await ada.ask("DELETE", f"/web/models/{OPEN}"))[0] == 404


def below(home: Path) -> list[Path]:
    return sorted(home.rglob("*"))


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names_are_not_found(studio: Site, home: Path, name: str) -> None:
    ada = await studio.person("Ada", "administrator")
    before = below(home)
    for method, verb in CHANGES:
        response = await ada.client.request(method, f"/web/models/{name}{verb}")
        assert response.status_code in (400, 404, 405), (verb, response.text)
        assert response.headers["content-type"].startswith("application/json")
    assert below(home) == before


async def test_a_model_is_told_in_full(studio: Site) -> None:
    ada = await studio.person("Ada", "administrator")
    status, body = await ada.ask("GET", "/web/models")
    assert status == 200 and set(body["machine"]) == {"memory_bytes", "available_bytes", "cores", "disk_free_bytes"}
    gated = next(model for model in body["models"] if model["name"] == GATED)
    assert gated["state"] == "absent" and gated["installed"] is False and gated["source"] == "hub:owner/gated"
    assert gated["good_for"] == ["conversation", "quick_answers"]
    assert gated["licence"]["kind"] == "research" and gated["licence"]["accepted_by"] is None
    assert next(model for model in body["models"] if model["name"] == OPEN)["default"] is True
    status, refused = await ada.ask("POST", f"/web/models/{GATED}/pull")
    assert (status, refused["code"]) == (403, "licence_not_accepted")
    assert (await ada.ask("POST", f"/web/models/{GATED}/accept-licence"))[0] == 204
    _, body = await ada.ask("GET", "/web/models")
    licence = next(model for model in body["models"] if model["name"] == GATED)["licence"]
    assert licence["accepted_by"] == f"Ada ({ada.person_id})" and licence["accepted_at"].endswith("Z")


async def test_a_pull_outlives_the_page_that_asked(studio: Site, bench: Workbench) -> None:
    ada = await studio.person("Ada", "administrator")
    assert (await ada.ask("POST", f"/web/models/{OPEN}/pull"))[0] == 202
    await ada.client.aclose()
    await until(lambda: bench.studio.board().standings[OPEN].state == "installed")


class Watching:
    """One watcher's connection, read as a browser would."""

    def __init__(self, events: ModelEvents) -> None:
        self.frames: list[dict[str, str]] = []
        self.over = False
        self.gone = asyncio.Event()
        self.task = asyncio.create_task(events({"type": "http"}, self._receive, self._send))

    async def _receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] != "http.response.body":
            return
        for written in message["body"].decode().split("\n\n"):
            if written and not written.startswith(":"):
                self.frames.append(dict(line.split(": ", 1) for line in written.split("\n")))
        self.over = not message["more_body"]

    def states(self) -> list[str]:
        told = [json.loads(frame["data"]) for frame in self.frames if frame["event"] == "state"]
        return [one["states"].get(OPEN, "") for one in told]


async def test_events_tell_every_change_and_end_with_the_server(studio: Site, bench: Workbench) -> None:
    installed_by_hand(bench)
    drain = Drain()
    watching = Watching(ModelEvents(Boards(bench.studio, SystemClock()), studio.here, drain, ""))
    await until(lambda: watching.states() == ["installed"])
    bench.engine.go.clear()
    bench.engine.states[OPEN] = "loading"
    await until(lambda: any(frame["event"] == "progress" for frame in watching.frames))
    progress = next(json.loads(frame["data"]) for frame in watching.frames if frame["event"] == "progress")
    assert progress == {"name": OPEN, "stage": "verifying", "done_bytes": 0, "total_bytes": 2}
    bench.engine.states[OPEN] = "ready"
    await until(lambda: watching.states()[-1] == "loaded")
    assert len({frame["id"] for frame in watching.frames if frame["event"] == "state"}) == len(watching.states())
    drain.begin()
    await until(lambda: watching.over)
    await watching.task


async def test_a_watcher_who_leaves_is_let_go(studio: Site, bench: Workbench) -> None:
    watching = Watching(ModelEvents(Boards(bench.studio, SystemClock()), studio.here, Drain(), ""))
    await until(lambda: bool(watching.frames))
    watching.gone.set()
    async with asyncio.timeout(PATIENCE_S):
        await watching.task


def told(content: bytes) -> list[tuple[str, Any]]:
    parts = [part.split("\n") for part in content.decode().split("\n\n") if part]
    return [(lines[1].removeprefix("event: "), json.loads(lines[2].removeprefix("data: "))) for lines in parts]


def test_only_news_is_told_and_only_of_what_one_may_see() -> None:
    board = Board(standings={"a": Standing("fetching"), "secret": Standing("loaded")}, steps={"a": Step("f", 1, 9)})
    telling = Telling()
    first = told(telling.news("x-1", board, frozenset({"a"})))
    assert first == [
        ("state", {"states": {"a": "fetching"}}),
        ("progress", {"name": "a", "stage": "f", "done_bytes": 1, "total_bytes": 9}),
    ]
    assert telling.news("x-1", board, frozenset({"a"})) == b""
    board = Board(standings=board.standings, steps={"a": Step("f", 2, 0), "secret": Step("f", 1, 2)})
    assert told(telling.news("x-1", board, frozenset({"a"})))[0][1]["total_bytes"] is None
    quiet = Board(standings=board.standings, steps={})
    assert Telling("x-1").news("x-1", quiet, frozenset({"a"})) == b""  # it came again and has missed nothing
    assert told(Telling("x-0").news("x-1", quiet, frozenset({"a"})))[0][0] == "state"
