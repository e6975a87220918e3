"""The doors over the real machine room: refusals, receipts and cancellation as callers meet them."""

import asyncio
from typing import Any

import httpx2
import pytest
from tests.fakes.doors import KEY, fake_doors, scripted
from tests.fakes.engine_world import Book, Directory, Starter
from tests.fakes.model_server import FakeModelServer
from tests.waiting import until

from tramontane.engine.nouns import Policy
from tramontane.engine.room import Engine
from tramontane.entrypoints.api import build_app


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "fake", "messages": [{"role": "user", "content": text}], **fields}


class House:
    """Doors, room and one fake model."""

    def __init__(self, **policy: Any) -> None:
        self.book = Book()
        starter = Starter(lambda model: FakeModelServer(model, script=scripted, slots=4))
        self.starter = starter
        self.engine = Engine(
            Directory("fake"), starter, self.book, secret=b"s" * 32, policy=Policy(**policy), jitter=lambda: 0.0
        )
        self.app = build_app(fake_doors(self.engine))  # type: ignore[arg-type]

    def client(self) -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app), base_url="http://127.0.0.1", headers=headers
        )


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/openai/v1/chat/completions"])
async def test_every_request_leaves_one_receipt_under_its_own_id(path: str) -> None:
    house = House()
    async with house.client() as client:
        plain = await client.post(path, json=chat("hello"))
        stream = await client.post(path, json=chat("hello", stream=True))
        unknown = await client.post(path, json=chat("hello") | {"model": "absent"})
        failed = await client.post(path, json=chat("fail"))
    assert [answer.status_code for answer in (plain, stream, unknown, failed)] == [200, 200, 404, 502]
    outcomes = {receipt.request_id: receipt.outcome for receipt in house.book.receipts}
    ids = [answer.headers["x-request-id"] for answer in (plain, stream, unknown, failed)]
    assert [outcomes[request_id] for request_id in ids] == ["finished", "finished", "refused", "failed"]
    assert {receipt.dialect for receipt in house.book.receipts} == {"openai" if "openai" in path else "mistral"}


async def test_embeddings_and_fim_pass_the_same_room() -> None:
    house = House()
    async with house.client() as client:
        assert (await client.post("/v1/embeddings", json={"model": "fake", "input": "a b"})).status_code == 200
        assert (await client.post("/v1/fim/completions", json={"model": "fake", "prompt": "a"})).status_code == 200
    assert [receipt.outcome for receipt in house.book.receipts] == ["finished", "finished"]


async def test_a_rate_limit_is_429_with_the_time_to_wait_and_the_headers_say_what_is_left() -> None:
    house = House(default_requests_per_minute=2)
    async with house.client() as client:
        first = await client.post("/v1/chat/completions", json=chat("hello"))
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        await client.post("/v1/chat/completions", json=chat("hello"))
        refused = await client.post("/v1/chat/completions", json=chat("hello"))
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_readiness_and_metrics_read_the_real_status() -> None:
    house = House()
    async with house.client() as client:
        await client.post("/v1/chat/completions", json=chat("hello"))
        assert (await client.get("/readyz")).json()["models"]["fake"]["state"] == "ready"
        assert 'tramontane_engine_up{model="fake"} 1.0' in (await client.get("/metrics")).text


async def test_a_draining_room_is_not_ready() -> None:
    house = House()
    async with house.client() as client:
        await client.post("/v1/chat/completions", json=chat("hello"))
        await house.engine.drain(0.1)
        assert (await client.get("/readyz")).json()["status"] == "draining"
        refused = await client.post("/v1/chat/completions", json=chat("hello"))
        assert refused.status_code == 503
        assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_a_request_given_up_frees_its_slot_and_is_charged() -> None:
    house = House()
    async with house.client() as client:
        call = asyncio.create_task(client.post("/v1/chat/completions", json=chat("endless")))
        await until(lambda: house.starter.servers and house.starter.servers[-1].load.running)
        call.cancel()
        await asyncio.wait([call])
    (receipt,) = house.book.receipts
    assert receipt.outcome == "cancelled"
    assert house.starter.servers[-1].load.running == 0
