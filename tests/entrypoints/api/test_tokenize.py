"""Counting a prompt: the engine's own count, refused like an ask and costing nothing but a request."""

from typing import Any

import httpx2
import pytest
from tests.fakes.doors import KEY, OTHER_KEY, USAGE_KEY, fake_doors, scripted
from tests.fakes.engine_room import FakeRoom
from tests.fakes.engine_world import Book, Directory, Starter
from tests.fakes.model_server import FakeModelServer

from tramontane.engine.nouns import Policy
from tramontane.engine.room import Engine
from tramontane.entrypoints.api import Doors, build_app
from tramontane.foundation.nouns import Ask

PATHS = ["/v1/tokenize", "/openai/v1/tokenize"]
HEADERS = {"authorization": f"Bearer {KEY}"}
TALK = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "one two three"}]


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def doors(book: Book) -> Doors:
    """Doors over the real machine room."""
    starter = Starter(lambda model: FakeModelServer(model, script=scripted, context_tokens=8))
    policy = Policy(default_requests_per_minute=5)
    engine = Engine(Directory("fake"), starter, book, secret=b"s" * 32, policy=policy, jitter=lambda: 0.0)
    return fake_doors(engine)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("prompt", "count"), [({"prompt": "a b c"}, 3), ({"messages": TALK}, 5), ({"messages": TALK, "tools": []}, 5)]
)
async def test_the_count_is_the_engines(
    client: httpx2.AsyncClient, book: Book, path: str, prompt: dict[str, Any], count: int
) -> None:
    answer = await client.post(path, json={"model": "fake", **prompt})
    assert (answer.status_code, answer.json()) == (200, {"count": count, "max_model_len": 4096})
    assert book.receipts == []


async def test_a_count_is_a_request_of_the_callers_rate(client: httpx2.AsyncClient) -> None:
    answers = [await client.post(PATHS[0], json={"model": "fake", "prompt": "a"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers[:5]] == list("43210")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "prompt"),
        ({"prompt": "a", "messages": TALK}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"messages": []}, "messages"),
        ({"prompt": "a", "tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
    ],
)
async def test_wrong_fields_are_named(client: httpx2.AsyncClient, fields: dict[str, Any], named: str) -> None:
    answer = await client.post(PATHS[0], json={"model": "fake", **fields})
    assert (answer.status_code, answer.json()["param"].partition(".")[0]) == (422, named)


async def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(client: httpx2.AsyncClient) -> None:
    answer = await client.post(PATHS[1], json={"model": "fake", "prompt": "a " * 9})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert "9" in answer.json()["error"]["message"] and "8" in answer.json()["error"]["message"]


async def test_only_who_may_ask_may_count_and_only_with_models_of_their_own(client: httpx2.AsyncClient) -> None:
    body = {"model": "private", "prompt": "a"}
    stranger = await client.post(PATHS[0], json=body)
    assert (stranger.status_code, stranger.json()["code"]) == (404, "model_not_found")
    assert (await client.post(PATHS[0], json=body, headers={"authorization": f"Bearer {USAGE_KEY}"})).status_code == 403
    known = await client.post(
        PATHS[0], json={**body, "model": "fake"}, headers={"authorization": f"Bearer {OTHER_KEY}"}
    )
    assert known.status_code == 200


async def test_it_is_counted_as_it_would_be_asked() -> None:
    """Whatever a chat would send, a count sends too."""
    room = FakeRoom(FakeModelServer("fake", script=scripted))
    seen: list[Ask] = []

    async def count(caller: object, ask: Ask) -> int:
        seen.append(ask)
        return 7

    room.count = count  # type: ignore[method-assign]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    transport = httpx2.ASGITransport(app=build_app(fake_doors(room)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=HEADERS) as client:
        body = {"model": "fake", "messages": TALK, "tools": tools}
        assert (await client.post(PATHS[0], json=body)).json()["count"] == 7
        await client.post("/openai/v1/chat/completions", json=body)
    asked = room.asks[-1]
    assert isinstance(asked, Ask)
    assert (seen[0].messages, seen[0].tools, seen[0].kind) == (asked.messages, asked.tools, asked.kind)
