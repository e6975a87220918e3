"""While a restore has the store the port stays open, everything is refused in its shape, and it ends by itself."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest

from tramontane.app import standing_aside
from tramontane.app.records import make_home
from tramontane.app.standing_aside import stand_aside
from tramontane.entrypoints.api import listen
from tramontane.foundation.progress import silent
from tramontane.foundation.settings import Settings
from tramontane.foundation.store import sqlite
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.lease import taken_over


@asynccontextmanager
async def aside(
    address: str, home: Path, taken: ExitStack
) -> AsyncIterator[tuple[aiohttp.ClientSession, asyncio.Task[bool]]]:
    """A client of a gateway that stands aside while `taken` holds the store."""
    make_home(Settings(home=home))
    database = Database.open(address)
    with taken, listen("127.0.0.1", 0) as listener:
        taken.callback(database.close)
        taken.enter_context(taken_over(database, home, 1, silent))
        port = listener.getsockname()[1]
        settings = Settings(home=home, database_url=address)
        standing = asyncio.create_task(stand_aside(settings, listener.dup()))
        async with (
            asyncio.timeout(30),
            aiohttp.ClientSession(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            yield client, standing
            await standing


async def test_callers_are_refused_until_the_store_is_free(address: str, tmp_path: Path) -> None:
    taken = ExitStack()
    async with aside(address, tmp_path / "home", taken) as (client, standing):
        async with client.post("/v1/chat/completions", json={}) as mistral:
            assert (mistral.status, (await mistral.json())["code"]) == (503, "restoring")
            assert mistral.headers["retry-after"] == "5" and mistral.headers["mistral-correlation-id"]
        async with client.get("/openai/v1/models") as openai:
            assert (openai.status, (await openai.json())["error"]["code"]) == (503, "restoring")
        async with client.get("/", headers={"accept": "text/html,*/*"}) as page:
            assert (page.status, page.headers["refresh"]) == (503, "5") and "being restored" in await page.text()
        async with client.get("/readyz") as ready, client.get("/healthz") as health:
            assert (ready.status, health.status, await health.json()) == (503, 200, {"status": "ok"})
        assert not standing.done()
        taken.close()
        assert await standing is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_ends_when_told_to(number: signal.Signals, tmp_path: Path) -> None:
    taken = ExitStack()
    async with aside(f"sqlite:///{tmp_path / 'home' / 't.db'}", tmp_path / "home", taken) as (client, standing):
        async with client.get("/healthz") as health:
            assert health.status == 200
        os.kill(os.getpid(), number)
        assert await standing is False


async def test_a_signal_that_comes_while_the_doors_close_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def closing_doors(refusal: object, settings: object, listener: object, stop: asyncio.Event) -> None:
        await stop.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)

    monkeypatch.setattr(standing_aside, "turn_away", closing_doors)
    settings = Settings(home=tmp_path)
    with listen("127.0.0.1", 0) as listener:
        assert await stand_aside(settings, listener) is False


async def test_it_waits_while_a_stranger_holds_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A restore has given up by then; a server that came back now would end."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 20)
    settings = Settings(home=tmp_path)
    Database.open(settings.sqlalchemy_url).close()
    with closing(sqlite3.connect(tmp_path / "tramontane.db")) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        assert await asyncio.to_thread(standing_aside._must_wait, settings)
        stranger.rollback()
    assert not await asyncio.to_thread(standing_aside._must_wait, settings)


async def test_it_does_not_wait_for_a_damaged_file_to_mend(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / "tramontane.db").write_bytes(b"no database" * 1000)
    with listen("127.0.0.1", 0) as listener:
        async with asyncio.timeout(30):
            assert await stand_aside(settings, listener) is True


async def test_what_was_done_about_signals_before_is_done_again_after(tmp_path: Path) -> None:
    def ours(number: int, frame: object) -> None:
        pass

    before = signal.signal(signal.SIGTERM, ours)
    try:
        with listen("127.0.0.1", 0) as listener:
            assert await stand_aside(Settings(home=tmp_path), listener) is True
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)
