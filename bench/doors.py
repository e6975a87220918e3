"""What the HTTP doors cost by themselves: requests a second, added milliseconds, processor per streamed chunk.

`python -m bench.doors` starts the doors over an engine that answers at once, in a process of its own, and asks it over
kept connections. The engine gives one token a step and lets the loop turn between steps, so every chunk is one write.
"""

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence

import psutil
import uvicorn

from tramontane.engine.nouns import EngineStatus, RateView, RateViews
from tramontane.engine.ports import Embedded
from tramontane.entrypoints.api import Doors, build_app
from tramontane.foundation.errors import BadRequest
from tramontane.foundation.events import ChoiceEnd, Event, Finished, TextDelta
from tramontane.foundation.nouns import Ask, Caller, EmbedAsk, Spend

TOKENS = 128
CALLER = Caller(organisation_id="org", workspace_id="ws", principal_id="p", key_id="k", roles=frozenset({"inference"}))
PLAIN: list[Sequence[Event]] = [
    [TextDelta(0, " the answer"), ChoiceEnd(0, "stop"), Finished(Spend(prompt_tokens=8, generated_tokens=1))]
]
LONG: list[Sequence[Event]] = [
    *([TextDelta(0, " word")] for _ in range(TOKENS)),
    [ChoiceEnd(0, "length"), Finished(Spend(prompt_tokens=8, generated_tokens=TOKENS))],
]


class InstantAnswer:
    """Everything is there already; one step per turn of the loop."""

    model = "instant"

    def __init__(self, request_id: str, batches: Sequence[Sequence[Event]]) -> None:
        self.request_id = request_id
        self._batches = batches

    async def events(self) -> AsyncGenerator[Sequence[Event], None]:
        for batch in self._batches:
            await asyncio.sleep(0)
            yield batch

    async def close(self) -> None: ...


class InstantRoom:
    """An engine room that costs nothing."""

    async def open(self, caller: Caller, ask: Ask, *, dialect: str = "") -> InstantAnswer:
        return InstantAnswer(ask.id, LONG if ask.limits.max_tokens == TOKENS else PLAIN)

    async def embed(self, caller: Caller, ask: EmbedAsk, *, dialect: str = "") -> Embedded:
        raise BadRequest("no embeddings here; use a real server")

    def rates(self, caller: Caller) -> RateViews:
        return RateViews(requests=RateView(limit=60_000, remaining=59_999, reset_s=0.001))

    def status(self) -> EngineStatus:
        return EngineStatus(draining=False, open_requests=0, replicas={}, lines={}, totals={})


def serve(port: int) -> None:
    async def authenticate(secret: str) -> Caller:
        return CALLER

    async def models(caller: Caller) -> list[object]:
        return []

    doors = Doors(engine=InstantRoom(), authenticate=authenticate, models=models)  # type: ignore[arg-type]
    uvicorn.run(build_app(doors), host="127.0.0.1", port=port, loop="uvloop", http="httptools", access_log=False,
                log_level="error", server_header=False)  # fmt: skip


def request_bytes(stream: bool, max_tokens: int) -> bytes:
    message = {"role": "user", "content": "Say something short about the wind that blows from the north. " * 4}
    body = json.dumps({"model": "instant", "messages": [message], "stream": stream, "max_tokens": max_tokens}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer tm_x\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> float:
    """One request over a kept connection; seconds it took."""
    begun = time.perf_counter()
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head[:20]:
        raise RuntimeError(head.decode())
    if b"transfer-encoding: chunked" in head:
        await reader.readuntil(b"\r\n0\r\n\r\n")
    else:
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    return time.perf_counter() - begun


async def load(port: int, clients: int, seconds: float, request: bytes) -> list[float]:
    async def client() -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        times = []
        while time.perf_counter() < end:
            times.append(await one(reader, writer, request))
        writer.close()
        return times

    end = time.perf_counter() + seconds
    return [taken for times in await asyncio.gather(*[client() for _ in range(clients)]) for taken in times]


def measure(port: int, child: psutil.Process, clients: int, seconds: float, request: bytes) -> dict[str, float]:
    asyncio.run(load(port, clients, 0.3, request))
    before, begun = sum(child.cpu_times()[:2]), time.perf_counter()
    times = asyncio.run(load(port, clients, seconds, request))
    wall = time.perf_counter() - begun
    cpu_us = (sum(child.cpu_times()[:2]) - before) / len(times) * 1e6
    return {"per_s": len(times) / wall, "p50_ms": statistics.median(times) * 1e3, "cpu_us": cpu_us}


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "bench.doors", str(port)])
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        child = psutil.Process(server.pid)
        for clients in (1, 32):
            plain = measure(port, child, clients, 2.5, request_bytes(False, 16))
            short = measure(port, child, clients, 2.5, request_bytes(True, 16))
            long = measure(port, child, clients, 2.5, request_bytes(True, TOKENS))
            chunk_us = (long["cpu_us"] - short["cpu_us"]) / (TOKENS - 1)
            print(f"{clients:2} clients: {plain['per_s']:6.0f} plain/s, p50 {plain['p50_ms']:.2f} ms,"
                  f" {plain['cpu_us']:.0f} us each; {long['per_s']:5.0f} streams/s, p50 {long['p50_ms']:.2f} ms,"
                  f" {chunk_us:.1f} us a chunk")  # fmt: skip
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    serve(int(sys.argv[1])) if len(sys.argv) > 1 else main()
