"""The doors on a real socket: starting, a port in use, and stopping while a stream is open."""

import asyncio
import json
import socket
from typing import Any

import httpx2
import pytest
from tests.fakes.doors import KEY, fake_doors, scripted
from tests.fakes.engine_room import FakeRoom
from tests.fakes.engine_world import Book, Directory, Starter
from tests.fakes.model_server import Answer, FakeModelServer
from tests.waiting import PATIENCE_S, until

from tramontane.engine.nouns import Policy
from tramontane.engine.room import Engine
from tramontane.entrypoints.api import body, connection
from tramontane.entrypoints.api.server import listen, serve
from tramontane.foundation.errors import Misconfigured
from tramontane.foundation.events import TextDelta
from tramontane.foundation.nouns import Ask
from tramontane.foundation.settings import HttpSettings


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "fake", "messages": [{"role": "user", "content": text}], **fields}


def at(listener: socket.socket) -> httpx2.AsyncClient:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    return httpx2.AsyncClient(base_url=url, headers={"authorization": f"Bearer {KEY}"}, timeout=30)


def test_a_port_in_use_is_named_with_its_cure() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(Misconfigured, match="in use; stop what uses it"):
        listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.1", "a..b", "x" * 70])
def test_an_address_that_is_not_ours_is_named(host: str) -> None:
    with pytest.raises(Misconfigured, match=r"cannot listen on .*set TRAMONTANE_HOST"):
        listen(host, 0)


async def test_stopping_lets_the_open_stream_end_and_refuses_new_work() -> None:
    release = asyncio.Event()

    def script(ask: Ask, max_tokens: int) -> Answer:
        return Answer(batches=scripted(ask, max_tokens).batches, step_s=1.0)

    async def sleep(_seconds: float) -> None:
        await release.wait()

    doors = fake_doors(FakeRoom(FakeModelServer("fake", script=script, sleep=sleep)))
    stop = asyncio.Event()
    with listen("127.0.0.1", 0) as listener:
        server = asyncio.create_task(serve(doors, listener, stop))
        async with at(listener) as client:
            async with client.stream("POST", "/v1/chat/completions", json=chat("hello", stream=True)) as stream:
                assert stream.status_code == 200
                stop.set()
                await until(lambda: doors.drain.closing)
                assert (await client.post("/v1/chat/completions", json=chat("hello"))).json()["code"] == "draining"
                release.set()
                assert (await stream.aread()).endswith(b"data: [DONE]\n\n")
            assert await server
            with pytest.raises(httpx2.ConnectError):
                await client.get("/healthz")


async def test_whoever_was_let_in_before_the_end_is_answered() -> None:
    """Such as a client whose connection stands when the doors close for a restore, and who asks a moment later."""
    stop = asyncio.Event()
    with listen("127.0.0.1", 0) as listener:
        server = asyncio.create_task(serve(fake_doors(FakeRoom(FakeModelServer("fake"))), listener, stop))
        reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
        stop.set()
        await until(lambda: listener.fileno() == -1, every_s=0.001)
        writer.write(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 503 ")
        writer.close()
        async with asyncio.timeout(PATIENCE_S):
            await server


async def test_doors_told_to_close_before_they_open_do_so() -> None:
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(PATIENCE_S):
        with listen("127.0.0.1", 0) as listener:
            assert await serve(fake_doors(FakeRoom(FakeModelServer("fake"))), listener, stop)


async def test_a_stream_that_does_not_end_is_cut() -> None:
    doors = fake_doors(settings=HttpSettings(drain_s=0))
    stop = asyncio.Event()
    with listen("127.0.0.1", 0) as listener:
        server = asyncio.create_task(serve(doors, listener, stop))
        body = chat("silent", stream=True)
        async with at(listener) as client, client.stream("POST", "/v1/chat/completions", json=body) as stream:
            stop.set()
            with pytest.raises(httpx2.RemoteProtocolError):
                await stream.aread()
        assert await server is False
    room = doors.engine
    assert isinstance(room, FakeRoom)
    assert room.servers["fake"].load.running == 0


async def test_a_body_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SLOWEST_BODY_S", 0.05)
    stop = asyncio.Event()
    with listen("127.0.0.1", 0) as listener:
        server = asyncio.create_task(serve(fake_doors(), listener, stop))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n"
        writer.write(f"{head}content-length: 50\r\n\r\n{{".encode())
        assert b" 408 " in await reader.readline()
        writer.close()
        stop.set()
        await server


def house_of(script: Any) -> tuple[Engine, Book, Starter]:
    """A real machine room over one fake model."""
    starter, book = Starter(lambda model: FakeModelServer(model, script=script, slots=1)), Book()
    room = Engine(Directory("fake"), starter, book, secret=b"s" * 32, policy=Policy(), jitter=lambda: 0.0)
    return room, book, starter


def flood(ask: Ask, max_tokens: int) -> Answer:
    """More than the sockets of both ends take in."""
    return Answer(batches=[[TextDelta(0, "x" * 65536)]] * 10_000)


def send_unread(address: tuple[str, int], path: str, body: dict[str, Any], buffer_bytes: int) -> socket.socket:
    """Ask and read nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    client.connect(address)
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(content)}"
    client.sendall(f"{head}\r\n\r\n".encode() + content)
    return client


async def test_a_client_that_stops_reading_loses_its_seat_and_is_charged() -> None:
    room, book, starter = house_of(flood)
    doors = fake_doors(room, settings=HttpSettings(stalled_reader_s=1))  # type: ignore[arg-type]
    stop = asyncio.Event()
    with listen("127.0.0.1", 0) as listener:
        server = asyncio.create_task(serve(doors, listener, stop))
        with send_unread(listener.getsockname(), "/v1/chat/completions", chat("x", stream=True), 4096):
            await until(lambda: book.receipts)
            (receipt,) = book.receipts
            assert receipt.outcome == "cancelled"
            assert receipt.spend.generated_tokens > 0
            assert starter.servers[-1].load.running == 0
        stop.set()
        assert await server


async def test_a_client_that_is_behind_again_and_again_keeps_its_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time it catches up, the time it may be behind is given up and begins anew with the next."""
    pieces, allowed_s = 150, 3333
    loop, behind = asyncio.get_running_loop(), list[asyncio.TimerHandle]()
    call_later = loop.call_later

    def noted(delay_s: float, *rest: Any, **more: Any) -> asyncio.TimerHandle:
        timer = call_later(delay_s, *rest, **more)
        if delay_s == allowed_s:
            behind.append(timer)
        return timer

    def script(ask: Ask, max_tokens: int) -> Answer:
        return Answer(batches=[[TextDelta(0, "x" * 65536)]] * pieces)

    monkeypatch.setattr(loop, "call_later", noted)
    settings = HttpSettings(stalled_reader_s=allowed_s)
    room = FakeRoom(FakeModelServer("fake", script=script))
    doors = fake_doors(room, settings=settings)
    stop, seen, tail = asyncio.Event(), 0, b""

    def waits_for_the_reader() -> bool:
        return any(not timer.cancelled() for timer in behind) or any(answer.ended.is_set() for answer in room.answers)

    body = chat("x", stream=True)
    with listen("127.0.0.1", 0) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        server = asyncio.create_task(serve(doors, listener, stop))
        with send_unread(listener.getsockname(), "/v1/chat/completions", body, 262_144) as client:
            client.setblocking(False)
            while not tail.endswith(b"0\r\n\r\n"):
                await until(waits_for_the_reader, every_s=0.001)
                part = await loop.sock_recv(client, 262_144)
                assert part, "the connection was cut"
                tail, seen = tail[-5:] + part[-5:], seen + len(part)
        stop.set()
        await server
    assert seen > pieces * 65536
    assert len(behind) > 10 and all(timer.cancelled() for timer in behind)


HEAD = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"
CHUNKED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
BLOCK = b"a" * 65536


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (HEAD, b"x-y: " + BLOCK + b"\r\n"),
        (HEAD, b"a: b\r\n" * 8192),
        (HEAD + b"x-y: ", BLOCK),
        (b"GET /", BLOCK),
        (CHUNKED, b"x-y: " + BLOCK + b"\r\n"),
        (CHUNKED + b"x-y: ", BLOCK),
    ],
    ids=["large headers", "many headers", "one header", "an address", "trailers", "one trailer"],
)
async def test_a_head_without_end_is_cut_off(begin: bytes, more: bytes) -> None:
    stop = asyncio.Event()
    with listen("127.0.0.1", 0) as listener:
        server = asyncio.create_task(serve(fake_doors(), listener, stop))
        _, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(begin)
        with pytest.raises(ConnectionError):
            for _ in range(512):
                writer.write(more)
                await writer.drain()
        writer.close()
        stop.set()
        await server


@pytest.mark.parametrize("begin", [b"", HEAD])
async def test_a_head_that_never_ends_is_given_up(begin: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.05)
    stop = asyncio.Event()
    with listen("127.0.0.1", 0) as listener:
        server = asyncio.create_task(serve(fake_doors(), listener, stop))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(begin)
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.read() == b""
        writer.close()
        stop.set()
        await server


async def test_a_body_in_small_pieces_is_no_head() -> None:
    stop = asyncio.Event()
    with listen("127.0.0.1", 0) as listener:
        server = asyncio.create_task(serve(fake_doors(settings=HttpSettings(max_header_bytes=300)), listener, stop))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(CHUNKED.removesuffix(b"0\r\n").replace(b"\r\n\r\n", f"\r\nx-api-key: {KEY}\r\n\r\n".encode()))
        for byte in b'{"model": "fake", "messages": [{"role": "user", "content": "' + b"b" * 1000 + b'"}]}':
            writer.write(b"1\r\n%c\r\n" % byte)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        assert b" 200 " in await reader.readline()
        writer.close()
        stop.set()
        await server
