"""The fleet alone: a server that does not end as it should harms neither its own model nor the others."""

import asyncio

import pytest
from tests.fakes.engine_world import Starter
from tests.fakes.model_server import FakeModelServer

from tramontane.engine.fleet import Fleet
from tramontane.engine.nouns import Policy
from tramontane.foundation.clock import SystemClock


def fleet_of(starter: Starter) -> Fleet:
    return Fleet(
        starter,
        Policy(),
        SystemClock(),
        changed=lambda model, error: None,
        died=lambda server: None,
        spawn=asyncio.ensure_future,
    )


async def stuck() -> None:
    raise OSError("its socket is gone")


async def test_a_model_whose_server_ended_badly_can_be_loaded_again(caplog: pytest.LogCaptureFixture) -> None:
    starter = Starter(FakeModelServer)
    fleet = fleet_of(starter)
    first = await fleet.ready("fake")
    first.close = stuck  # type: ignore[method-assign]
    await fleet.unload("fake")
    status = fleet.status()["fake"]
    assert (status.state, "its socket is gone" in status.last_error) == ("absent", True)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    async with asyncio.timeout(20):
        assert await fleet.ready("fake") is not first
    assert fleet.status()["fake"].last_error == ""


async def test_one_that_ends_badly_keeps_no_other_running(caplog: pytest.LogCaptureFixture) -> None:
    starter = Starter(FakeModelServer)
    fleet = fleet_of(starter)
    (await fleet.ready("first")).close = stuck  # type: ignore[method-assign]
    other = await fleet.ready("other")
    await fleet.close()
    assert not other.alive
    assert "its socket is gone" in caplog.text
