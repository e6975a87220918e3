"""How many bodies the doors hold at once: counted as they come, shared between workspaces, given back when answered."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.fakes.doors import caller_named, fake_doors
from tests.fakes.engine_room import FakeRoom
from tests.waiting import until

from tramontane.entrypoints.api import Doors, build_app
from tramontane.entrypoints.api.body_budget import BodyBudget, HeldBody
from tramontane.foundation.errors import Overloaded, RateLimited
from tramontane.foundation.nouns import Caller
from tramontane.foundation.settings import HttpSettings

CHAT = {"model": "fake", "messages": [{"role": "user", "content": "hello" + "." * 800}]}
PATH = "/v1/chat/completions"
PIECES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), max_size=40)


@given(st.integers(2, 200), PIECES)
def test_no_more_is_held_than_allowed_and_all_of_it_is_given_back(limit: int, pieces: list[tuple[str, int]]) -> None:
    budget = BodyBudget(limit)
    held = {name: HeldBody(budget, name) for name in "abc"}
    taken = dict.fromkeys("abc", 0)
    for name, size in pieces:
        fits_workspace = taken[name] + size <= limit // 2
        fits = sum(taken.values()) + size <= limit
        try:
            held[name].grow(size)
            assert size == 0 or (fits_workspace and fits)
            taken[name] += size
        except RateLimited:
            assert not fits_workspace
        except Overloaded:
            assert fits_workspace and not fits
        assert budget.held_bytes == sum(taken.values()) <= limit
        assert {name: budget.held_by(name) for name in "abc"} == taken
    for one in held.values():
        with one:
            pass
    assert budget.held_bytes == 0 and not any(budget.held_by(name) for name in "abc")


class Sender:
    """A body that stands still after its first piece until it is told to go on."""

    def __init__(self, first: int) -> None:
        self.content = json.dumps(CHAT).encode()
        self.first = first
        self.arrived = asyncio.Event()
        self.go_on = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self.content[: self.first]
        self.arrived.set()
        await self.go_on.wait()
        yield self.content[self.first :]


async def by_name(secret: str) -> Caller:
    """Every key is a workspace of its own."""
    return caller_named(secret)


def narrow(room: FakeRoom) -> Doors:
    """Room for two bodies of 1,000 bytes."""
    return replace(
        fake_doors(room, settings=HttpSettings(max_body_bytes=1000, max_bodies_bytes=2000)), authenticate=by_name
    )


@pytest.fixture
async def client(room: FakeRoom) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=build_app(narrow(room)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as opened:
        yield opened


def key(workspace: str) -> dict[str, str]:
    return {"x-api-key": workspace, "content-type": "application/json"}


async def test_bodies_on_their_way_leave_no_room_for_more(client: httpx2.AsyncClient) -> None:
    senders = {name: Sender(800) for name in ("one", "two")}
    calls = [
        asyncio.create_task(client.post(PATH, content=sender.pieces(), headers=key(name)))
        for name, sender in senders.items()
    ]
    for sender in senders.values():
        await sender.arrived.wait()
    refused = await client.post(PATH, json=CHAT, headers=key("three"))
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "overloaded", "1")
    own = await client.post(PATH, json=CHAT, headers=key("one"))
    assert (own.status_code, own.headers["retry-after"]) == (429, "1")
    for sender in senders.values():
        sender.go_on.set()
    assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200, 200]
    assert (await client.post(PATH, json=CHAT, headers=key("three"))).status_code == 200


async def test_what_waits_for_its_turn_is_held_too(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    room.hold = asyncio.Event()
    waiting = [asyncio.create_task(client.post(PATH, json=CHAT, headers=key(name))) for name in ("one", "two")]
    await until(lambda: len(room.asks) == 2)
    assert (await client.post(PATH, json=CHAT, headers=key("three"))).status_code == 503
    room.hold.set()
    await asyncio.gather(*waiting)
    assert (await client.post(PATH, json=CHAT, headers=key("three"))).status_code == 200


async def test_a_refused_body_is_given_back(client: httpx2.AsyncClient) -> None:
    for _ in range(5):
        broken = await client.post(PATH, content=b"{" * 900, headers=key("one"))
        assert broken.status_code == 400


def test_the_settings_leave_room_for_one_body_of_each_workspace() -> None:
    with pytest.raises(ValidationError, match="twice max_body_bytes"):
        HttpSettings(max_body_bytes=1000, max_bodies_bytes=1999)
