"""One application over a fake room, reached in process; a real server where sockets matter."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from tests.fakes.doors import KEY, fake_doors, scripted, serving
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import FakeModelServer

from tramontane.entrypoints.api import Doors, build_app


@pytest.fixture
def room() -> FakeRoom:
    return FakeRoom(FakeModelServer("fake", script=scripted, slots=256))


@pytest.fixture
def doors(room: FakeRoom) -> Doors:
    return fake_doors(room)


@pytest.fixture
async def client(doors: Doors) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=build_app(doors))
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as opened:
        yield opened


@pytest.fixture
def url(doors: Doors) -> Iterator[str]:
    with serving(build_app(doors)) as address:
        yield address
