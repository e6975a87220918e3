"""The outermost layer: hosts, origins, draining, policies, and that every answer is named."""

import asyncio

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response
from starlette.routing import Route
from tests.fakes.doors import KEY, fake_doors
from tests.fakes.engine_room import FakeRoom
from tests.waiting import until

from tramontane.entrypoints.api import Doors, build_app
from tramontane.entrypoints.api.drain import Drain
from tramontane.entrypoints.api.origins import host_name
from tramontane.entrypoints.api.policy import check_policies, door_route, needs_key, public
from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.settings import HttpSettings

CHAT = {"model": "fake", "messages": [{"role": "user", "content": "hello"}]}


def reach(doors: Doors, base: str = "http://127.0.0.1") -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=build_app(doors), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url=base, headers={"authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize(
    ("host", "bound", "allowed", "status"),
    [
        ("127.0.0.1:8400", "127.0.0.1", (), 200),
        ("localhost:8400", "127.0.0.1", (), 200),
        ("LOCALHOST", "localhost", (), 200),
        ("[::1]:8400", "::1", (), 200),
        ("evil.example:8400", "127.0.0.1", (), 403),
        ("ai.example", "127.0.0.1", ("ai.example",), 200),
        ("evil.example", "0.0.0.0", ("ai.example",), 403),
        ("anything.example", "0.0.0.0", (), 200),
        ("", "127.0.0.1", (), 400),
    ],
)
async def test_only_expected_host_names_are_served(
    host: str, bound: str, allowed: tuple[str, ...], status: int
) -> None:
    doors = fake_doors(bound_host=bound, settings=HttpSettings(allowed_hosts=allowed))
    async with reach(doors) as client:
        assert (await client.get("/healthz", headers={"host": host})).status_code == status


def test_host_names_are_read_without_port_and_scheme() -> None:
    named = {"A.b:80": "a.b", "http://a.b:80": "a.b", "[::1]:80": "[::1]", "https://[::1]": "[::1]", "a": "a"}
    assert {value: host_name(value) for value in named} == named


async def test_pages_of_other_origins_are_refused_until_allowed() -> None:
    origin = {"origin": "https://app.example"}
    async with reach(fake_doors()) as client:
        assert (await client.post("/v1/chat/completions", json=CHAT, headers=origin)).status_code == 403
        preflight = {**origin, "access-control-request-method": "POST"}
        assert (await client.options("/v1/chat/completions", headers=preflight)).status_code == 403
        same = await client.get("/healthz", headers={"origin": "http://127.0.0.1:9"})
        assert (same.status_code, "access-control-allow-origin" in same.headers) == (200, False)
    async with reach(fake_doors(settings=HttpSettings(cors_origins=("https://app.example",)))) as client:
        answer = await client.post("/v1/chat/completions", json=CHAT, headers=origin)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://app.example")
        allowed = await client.options("/v1/chat/completions", headers=preflight)
        assert (allowed.status_code, "POST" in allowed.headers["access-control-allow-methods"]) == (200, True)


async def test_any_page_may_call_the_api_where_that_is_wanted_and_brings_no_cookie() -> None:
    origin = {"origin": "https://app.example"}
    preflight = {
        **origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, x-stainless-lang",
    }
    async with reach(fake_doors(settings=HttpSettings(cors_origins=("*",)))) as client:
        for path in ("/v1/chat/completions", "/openai/v1/chat/completions"):
            asked = await client.options(path, headers=preflight)
            assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, "*")
            assert "x-stainless-lang" in asked.headers["access-control-allow-headers"]
            answer = await client.post(path, json=CHAT, headers={**origin, "cookie": "session=1"})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
            assert "access-control-allow-credentials" not in {**asked.headers, **answer.headers}
        refused = await client.post("/v1/chat/completions", json=CHAT, headers={**origin, "authorization": "Bearer no"})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")


async def test_our_own_pages_may_call_us_through_a_proxy() -> None:
    doors = fake_doors(settings=HttpSettings(public_url="https://ai.example.org"))
    async with reach(doors) as client:
        own = await client.get("/healthz", headers={"origin": "https://ai.example.org"})
        other = await client.get("/healthz", headers={"origin": "https://example.org"})
        none = await client.get("/healthz", headers={"origin": "null"})
    assert [answer.status_code for answer in (own, other, none)] == [200, 403, 403]


@pytest.mark.parametrize("origins", [("*",), ("https://app.example",), ("*", "https://app.example")])
@pytest.mark.parametrize("path", ["/docs", "/healthz", "/metrics", "/", "/v1", "/v10/pages", "/openai/pages"])
async def test_only_the_api_is_shared_with_other_pages(path: str, origins: tuple[str, ...]) -> None:
    async with reach(fake_doors(settings=HttpSettings(cors_origins=origins))) as client:
        for headers in ({}, {"access-control-request-method": "POST"}):
            answer = await client.options(path, headers={"origin": "https://app.example", **headers})
            assert answer.status_code == 403
            assert not [name for name in answer.headers if name.startswith("access-control")]
        answer = await client.get(path, headers={"origin": "https://app.example"})
        assert answer.status_code == 403
        own = await client.get(path, headers={"origin": "http://127.0.0.1"})
        assert own.status_code != 403 and "access-control-allow-origin" not in own.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/v1/models", 405),
        ("POST", "/v1/chat/completions", 422),
        ("POST", "/openai/v1/embeddings", 400),
    ],
)
async def test_every_answer_is_named(client: httpx2.AsyncClient, method: str, path: str, status: int) -> None:
    response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["x-request-id"] == response.headers["mistral-correlation-id"]
    assert len(response.headers["x-request-id"]) == 32


async def test_the_unforeseen_becomes_a_fixed_sentence(room: FakeRoom, caplog: pytest.LogCaptureFixture) -> None:
    room.refusal = ZeroDivisionError("secret 0x7f12 /home/someone")  # type: ignore[assignment]
    async with reach(fake_doors(room)) as client:
        for path in ("/v1/chat/completions", "/openai/v1/chat/completions"):
            response = await client.post(path, json=CHAT)
            assert response.status_code == 500
            assert "secret" not in response.text
            assert "x-request-id" in response.text
            assert response.headers["x-request-id"] in caplog.text


async def test_while_draining_the_open_stream_ends_and_new_work_is_refused(room: FakeRoom) -> None:
    doors = fake_doors(room)
    room.hold = asyncio.Event()
    async with reach(doors) as client:
        inside = asyncio.create_task(client.post("/v1/chat/completions", json=CHAT))
        await until(lambda: room.asks)
        doors.drain.begin()
        refused = await client.post("/v1/chat/completions", json=CHAT)
        assert (refused.status_code, refused.json()["code"]) == (503, "draining")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).json()["status"] == "draining"
        assert not await doors.drain.wait(0.01)
        room.hold.set()
        assert (await inside).status_code == 200
        assert await doors.drain.wait(5)


async def test_an_empty_house_drains_at_once() -> None:
    drain = Drain()
    drain.begin()
    assert await drain.wait(5)


async def test_health_never_asks_the_engine(room: FakeRoom) -> None:
    doors = fake_doors(room)
    async with reach(doors) as client:
        room.status = None  # type: ignore[assignment,method-assign]
        assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_readiness_waits_for_the_required_models(room: FakeRoom) -> None:
    async with reach(fake_doors(room, required=("fake", "absent"))) as client:
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["waiting_for"]) == (503, ["absent"])
        assert response.json()["models"]["fake"]["state"] == "ready"


def test_a_route_without_a_policy_does_not_start() -> None:
    routes = APIRouter(route_class=door_route(fake_doors()))
    with pytest.raises(Misconfigured, match="declares no policy"):

        @routes.get("/open")
        async def anyone(request: Request) -> Response:
            return Response()


def test_a_route_beside_the_doors_does_not_start() -> None:
    async def marked(request: Request) -> Response:
        return Response()

    async def unmarked(request: Request) -> Response:
        return Response()

    public(marked)
    with pytest.raises(Misconfigured, match="bypasses the doors"):
        check_policies([Route("/side", marked)])
    with pytest.raises(Misconfigured, match="declares no policy"):
        check_policies([Route("/side", unmarked)])


async def test_a_declared_policy_is_the_one_enforced() -> None:
    app = FastAPI(openapi_url=None)
    app.router.route_class = door_route(fake_doors())

    @app.router.get("/closed")
    @needs_key
    async def closed(request: Request) -> Response:
        return Response(request.state.caller.workspace_id)

    check_policies(app.router.routes)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        assert (await client.get("/closed")).status_code == 401
        assert (await client.get("/closed", headers={"x-api-key": KEY})).text == "ws_one"


async def test_a_websocket_is_closed() -> None:
    sent = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    await build_app(fake_doors())({"type": "websocket", "path": "/", "headers": []}, receive, send)  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]
