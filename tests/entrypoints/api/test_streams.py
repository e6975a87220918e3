"""Streams over real sockets and over a hand-made connection: cancellation, silence, last words."""

import asyncio
import contextlib
import json
from typing import Any

import httpx2
import pytest
from tests.fakes.doors import KEY, fake_doors, serving
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import Answer, FakeModelServer
from tests.waiting import until

from tramontane.entrypoints.api import build_app, sse
from tramontane.foundation.errors import EngineFailed
from tramontane.foundation.events import ChoiceEnd, Failed, Finished, TextDelta
from tramontane.foundation.nouns import Ask, Spend

HEADERS = {"authorization": f"Bearer {KEY}"}


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "fake", "messages": [{"role": "user", "content": text}], **fields}


class Connection:
    """One client of an ASGI application that can hang up."""

    def __init__(self, body: dict[str, Any], path: str = "/v1/chat/completions") -> None:
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self._content = json.dumps(body).encode()
        self._read = False
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {KEY}".encode())],
        }

    async def receive(self) -> dict[str, Any]:
        if not self._read:
            self._read = True
            return {"type": "http.request", "body": self._content, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_hangs_up_frees_the_engine(room: FakeRoom, stream: bool) -> None:
    server = room.servers["fake"]
    with serving(build_app(fake_doors(room))) as url:
        async with httpx2.AsyncClient(base_url=url, headers=HEADERS, timeout=None) as client:
            asking = client.post("/v1/chat/completions", json=chat("endless", stream=stream))
            reading = asyncio.create_task(asking)
            await until(lambda: server.load.progress > 3)
            assert server.load.running == 1 and not reading.done()
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            await until(lambda: server.load.running == 0)
            spend = await until(lambda: server.cancelled_spend(room.answers[0].request_id))
    assert spend.generated_tokens > 0


async def test_a_client_that_leaves_the_line_leaves_nothing_behind(room: FakeRoom) -> None:
    room.hold = asyncio.Event()
    connection = Connection(chat("hello", stream=True))
    call = asyncio.create_task(build_app(fake_doors(room))(connection.scope, connection.receive, connection.send))
    await until(lambda: room.asks)
    connection.gone.set()
    await call
    assert (room.abandoned, room.answers) == (1, [])
    assert [message.get("status") for message in connection.sent if "status" in message] == [499]


async def test_leaving_a_silent_stream_cancels_at_once(room: FakeRoom) -> None:
    connection = Connection(chat("silent", stream=True))
    call = asyncio.create_task(build_app(fake_doors(room))(connection.scope, connection.receive, connection.send))
    await until(lambda: connection.sent)
    connection.gone.set()
    await call
    assert room.answers[0].ended.is_set()
    assert room.servers["fake"].load.running == 0


async def test_headers_go_out_at_dispatch_and_not_before(room: FakeRoom) -> None:
    room.hold = asyncio.Event()
    connection = Connection(chat("silent", stream=True))
    call = asyncio.create_task(build_app(fake_doors(room))(connection.scope, connection.receive, connection.send))
    await until(lambda: room.asks)
    assert connection.sent == []
    room.hold.set()
    await until(lambda: connection.sent)
    assert (connection.sent[0]["status"], len(connection.sent)) == (200, 1)
    connection.gone.set()
    await call


async def test_a_silent_stream_shows_signs_of_life(room: FakeRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "PING_S", 0.01)
    connection = Connection(chat("silent", stream=True))
    call = asyncio.create_task(build_app(fake_doors(room))(connection.scope, connection.receive, connection.send))
    await until(lambda: connection.text.count(": ping\n\n") >= 3)
    connection.gone.set()
    await call
    assert connection.text.replace(": ping\n\n", "") == ""


async def test_a_busy_stream_is_not_pinged(room: FakeRoom) -> None:
    connection = Connection(chat("hello", stream=True))
    await build_app(fake_doors(room))(connection.scope, connection.receive, connection.send)
    assert ": ping" not in connection.text


async def test_one_step_is_one_write(room: FakeRoom) -> None:
    connection = Connection(chat("hello", stream=True, n=8))
    await build_app(fake_doors(room))(connection.scope, connection.receive, connection.send)
    bodies = [message for message in connection.sent if message["type"] == "http.response.body"]
    steps = 5 + 1 + 1
    assert len(bodies) == steps
    assert [message["more_body"] for message in bodies] == [True] * (steps - 1) + [False]


def ending(*last_words: Any, batches: Any = None) -> FakeRoom:
    def script(ask: Ask, max_tokens: int) -> Answer:
        return Answer(batches=batches or [[TextDelta(0, "half")]], last_words=last_words)

    return FakeRoom(FakeModelServer("fake", script=script))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/openai/v1/chat/completions"])
async def test_a_stream_cut_short_still_gets_a_last_word(path: str) -> None:
    connection = Connection(chat("x", stream=True), path)
    await build_app(fake_doors(ending()))(connection.scope, connection.receive, connection.send)
    assert "without its last word" in connection.text
    assert "[DONE]" not in connection.text
    assert connection.sent[-1]["more_body"] is False


async def test_nothing_follows_the_last_word() -> None:
    room = ending(
        Finished(Spend()), Failed("engine_failed", "again"), batches=[[TextDelta(0, "x"), ChoiceEnd(0, "stop")]]
    )
    connection = Connection(chat("x", stream=True))
    await build_app(fake_doors(room))(connection.scope, connection.receive, connection.send)
    assert connection.text.count("[DONE]") == 1
    assert "engine_failed" not in connection.text


class BrokenAnswer:
    request_id = "broken"
    model = "fake"

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.closed = False

    async def events(self) -> Any:
        yield [TextDelta(0, "half")]
        raise self.error

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("error", "said"),
    [(EngineFailed("the engine broke; try again"), "the engine broke"), (ZeroDivisionError("0x7f"), "something broke")],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/openai/v1/chat/completions", "/openai/v1/completions"])
async def test_an_error_inside_a_stream_is_its_last_word(
    room: FakeRoom, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str, path: str
) -> None:
    broken = BrokenAnswer(error)

    async def open_broken(caller: Any, ask: Any, *, dialect: str = "") -> BrokenAnswer:
        return broken

    monkeypatch.setattr(room, "open", open_broken)
    body = (
        {"model": "fake", "prompt": "x", "stream": True} if path.endswith("v1/completions") else chat("x", stream=True)
    )
    connection = Connection(body, path)
    await build_app(fake_doors(room))(connection.scope, connection.receive, connection.send)
    assert said in connection.text
    assert "0x7f" not in connection.text
    assert "[DONE]" not in connection.text
    assert broken.closed
