"""Closed-loop load on a gateway over kept connections: answers are counted, not parsed, so that the client stays cheap.

Knows HTTP and a clock; knows nothing of who is measured (gateway.py).
"""

import asyncio
import json
import statistics
import time
from dataclasses import dataclass
from typing import Any, cast

import psutil
import uvloop

from bench.client import CONTENT
from bench.load import percentile

ANSWER_TIMEOUT_S = 30
END_OF_CHUNKS = b"0\r\n\r\n"


@dataclass(frozen=True)
class Door:
    """One way in to be measured: an address, a key, the model to ask for, and whose processor time counts."""

    name: str
    port: int
    path: str
    model: str
    key: str
    processes: tuple[int, ...]


@dataclass(frozen=True)
class Measured:
    """`per_s` requests a second; times of one request in milliseconds; `cpu_us` of the gateway for each request."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    events: float  # server-sent events a request


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self.request = request
        self.received = bytearray()
        self.waiter: asyncio.Future[None] | None = None
        self.whole = 0  # length of a plain answer once its head is here

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    async def ask(self) -> bytes:
        """Send the request and wait for the whole answer. Raises RuntimeError for anything but 200."""
        self.received.clear()
        self.whole = 0
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(self.request)
        await self.waiter
        if b" 200 " not in self.received[:16]:
            raise RuntimeError(self.received[:2000].decode(errors="replace"))
        return self.received

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.whole:
            self._read_head()
        done = len(self.received) >= self.whole if self.whole > 0 else self.received.endswith(END_OF_CHUNKS)
        if self.whole and done and self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def _read_head(self) -> None:
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        _, found, rest = bytes(self.received[:end]).lower().partition(b"content-length: ")
        self.whole = end + 4 + int(rest.partition(b"\r\n")[0]) if found else -1

    def connection_lost(self, error: Exception | None) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(RuntimeError(f"the server hung up: {bytes(self.received[:300])!r}"))


def request_bytes(door: Door, stream: bool, max_tokens: int, model: str | None = None) -> bytes:
    """A chat request with a prompt of some 60 tokens."""
    message = {"role": "user", "content": "Say something short about the wind that blows from the north. " * 4}
    body: dict[str, Any] = {"model": model or door.model, "messages": [message], "max_tokens": max_tokens}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    content = json.dumps(body).encode()
    head = (
        f"POST {door.path} HTTP/1.1\r\nhost: 127.0.0.1:{door.port}\r\nauthorization: Bearer {door.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def content_chunks(door: Door, max_tokens: int, model: str | None = None) -> int:
    """How many events of one stream carry text: a check that the gateway passes every chunk on. Raises TimeoutError."""

    async def once() -> int:
        connection = await _connect(door.port, request_bytes(door, True, max_tokens, model))
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = bytes(await connection.ask())
        connection.transport.close()
        return len(CONTENT.findall(answer))

    return uvloop.run(once())


def measure(door: Door, request: bytes, clients: int, seconds: float, rounds: int = 0) -> Measured:
    """`clients` ask again and again for `seconds`; with `rounds` each asks that often instead."""
    return uvloop.run(_measure(door, request, clients, seconds, rounds))


async def _measure(door: Door, request: bytes, clients: int, seconds: float, rounds: int) -> Measured:
    connections = [await _connect(door.port, request) for _ in range(clients)]
    events = 0

    async def client(connection: _Connection) -> list[float]:
        nonlocal events
        times: list[float] = []
        while len(times) < rounds if rounds else time.perf_counter() < end:
            begun = time.perf_counter()
            answer = await connection.ask()
            times.append(time.perf_counter() - begun)
            events += answer.count(b"data: {")
        return times

    members = [psutil.Process(number) for number in door.processes]
    cpu_before, began = _cpu_s(members), time.perf_counter()
    end = began + seconds
    times = sorted(taken for part in await asyncio.gather(*map(client, connections)) for taken in part)
    wall, cpu_s = time.perf_counter() - began, _cpu_s(members) - cpu_before
    for connection in connections:
        connection.transport.close()
    p50_ms, p99_ms = statistics.median(times) * 1e3, percentile(times, 0.99) * 1e3
    return Measured(len(times) / wall, p50_ms, p99_ms, cpu_s / len(times) * 1e6, events / len(times))


async def _connect(port: int, request: bytes) -> _Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: _Connection(request), "127.0.0.1", port)
    return connection


def _cpu_s(members: list[psutil.Process]) -> float:
    return sum(sum(member.cpu_times()[:2]) for member in members)
