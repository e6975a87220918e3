"""Conversations over a real database of each kind and a fake room, reached in process."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from tests.fakes.assistant import assistant_doors
from tests.fakes.doors import KEY, scripted
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import FakeModelServer

from tramontane.entrypoints.api import Doors, build_app
from tramontane.features.assistant.assistant import Assistant
from tramontane.foundation.store.database import Database

Clients = Callable[..., httpx2.AsyncClient]


@pytest.fixture
def room() -> FakeRoom:
    return FakeRoom(FakeModelServer("fake", script=scripted, slots=256))


@pytest.fixture
def doors(database: Database, room: FakeRoom) -> Doors:
    return assistant_doors(database, room)


@pytest.fixture
async def assistant(doors: Doors) -> AsyncIterator[Assistant]:
    assert doors.assistant is not None
    yield doors.assistant
    await doors.assistant.close()


@pytest.fixture
async def client_of(doors: Doors, assistant: Assistant) -> AsyncIterator[Clients]:
    """Clients by key, all of one application."""
    app: Any = build_app(doors)
    made: list[httpx2.AsyncClient] = []

    def make(key: str) -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {key}"}
        transport = httpx2.ASGITransport(app=app)
        made.append(httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()


@pytest.fixture
def client(client_of: Clients) -> httpx2.AsyncClient:
    return client_of(KEY)
