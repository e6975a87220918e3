"""One real server for all client tests: the doors over a fake room, on a loopback port."""

from collections.abc import Iterator

import pytest
from tests.fakes.doors import fake_doors, scripted, serving
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import FakeModelServer

from tramontane.entrypoints.api import build_app


@pytest.fixture(scope="module")
def room() -> FakeRoom:
    return FakeRoom(FakeModelServer("fake", script=scripted, slots=64))


@pytest.fixture(scope="module")
def url(room: FakeRoom) -> Iterator[str]:
    with serving(build_app(fake_doors(room))) as address:
        yield address
