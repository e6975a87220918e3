"""A runnable engine process without a model: the real protocol over the fake server, with faults on request.

Run as `engine_process.py FD OPTIONS`; OPTIONS is JSON: `slots`, `context_tokens`, `step_s`, `beat_s`, `fail_load` (a
message it dies with while loading), `slow_load_s`. A prompt may order a fault at its third token: `!die`, `!garbage` (a frame
that is none), `!truncate` (half a frame, then death), `!stop` (SIGSTOP on itself), `!huge` (a length beyond the limit).
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from typing import Any

from tests.fakes.model_server import Answer, FakeModelServer, counting_answer, prompt_words

from tramontane.adapters.servers.openvino import protocol
from tramontane.foundation.errors import TramontaneError
from tramontane.foundation.events import Event
from tramontane.foundation.nouns import Ask, EmbedAsk

FAULT_STEP = 3


class FakeEngine(asyncio.Protocol):
    """Answers the gateway's messages; events of all requests in one turn of the loop share a frame."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.step_s = float(options.get("step_s", 0.0))
        self.beat_s = float(options.get("beat_s", protocol.HEARTBEAT_S))
        self.server = FakeModelServer(
            script=self.script,
            slots=int(options.get("slots", 64)),
            context_tokens=int(options.get("context_tokens", 4096)),
        )
        self.frames = protocol.FrameReader()
        self.ended = asyncio.Event()
        self.pending: dict[str, list[Event]] = {}
        self.prepared: dict[str, Any] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.stopped = False

    def script(self, ask: Ask, max_tokens: int) -> Answer:
        answer = counting_answer(ask, max_tokens)
        answer.step_s = self.step_s
        return answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set()

    def send(self, message: protocol.ToGateway) -> None:
        self.transport.write(protocol.pack(message))

    def data_received(self, data: bytes) -> None:
        for frame in self.frames.feed(data):
            self.receive(protocol.read_for_engine(frame))

    def receive(self, message: protocol.ToEngine) -> None:
        match message:
            case protocol.Prepare():
                self.work(message.ask.id, self.prepare(message))
            case protocol.Start(id=name):
                self.work(name, self.generate(name))
            case protocol.Discard(id=name):
                if name in self.prepared:
                    self.server.discard(self.prepared.pop(name))
            case protocol.Cancel(id=name):
                self.work(f"cancel {name}", self.cancel(name))
            case protocol.Pause(id=name):
                self.work(f"pause {name}", self.server.pause(name))
            case protocol.Resume(id=name):
                self.work(f"resume {name}", self.server.resume(name))
            case protocol.Embed(ask=ask):
                self.work(ask.id, self.embed(ask))
            case protocol.Stop():
                self.stopped = True
                self.ended.set()

    def work(self, name: str, job: Any) -> None:
        task = asyncio.create_task(job)
        self.tasks[name] = task
        task.add_done_callback(lambda done: self.tasks.pop(name) if self.tasks.get(name) is done else None)

    async def prepare(self, message: protocol.Prepare) -> None:
        ask = message.ask
        try:
            prepared = await self.server.prepare(
                ask, namespace=message.namespace, share=message.share, weight=message.weight
            )
        except TramontaneError as error:
            self.send(protocol.refusal(ask.id, error))
            return
        self.prepared[ask.id] = prepared
        self.send(protocol.PrepareDone(ask.id, prepared.prompt_tokens, prepared.max_tokens))

    async def generate(self, name: str) -> None:
        prepared = self.prepared.pop(name)
        order = next((word for word in prompt_words(prepared.ask) if word.startswith("!")), "")
        answer = self.server.generate(prepared)
        try:
            step = 0
            async for batch in answer:
                step += 1
                if order and step > FAULT_STEP:
                    self.obey(order)
                self.deliver(name, list(batch))
        finally:
            await answer.aclose()

    def deliver(self, name: str, events: list[Event]) -> None:
        if not self.pending:
            asyncio.get_running_loop().call_soon(self.flush)
        self.pending.setdefault(name, []).extend(events)

    def flush(self) -> None:
        batches, self.pending = list(self.pending.items()), {}
        self.send(protocol.Step(batches, self.server.load))

    def obey(self, order: str) -> None:
        if order == "!die":
            os.kill(os.getpid(), signal.SIGKILL)
        if order == "!stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if order == "!garbage":
            self.transport.write(len(b"garbage").to_bytes(4, "big") + b"garbage")
        if order == "!huge":
            self.transport.write((protocol.MAX_FRAME_BYTES + 1).to_bytes(4, "big") + b"x")
        if order == "!truncate":
            self.flush()
            sock = self.transport.get_extra_info("socket")
            os.write(sock.fileno(), protocol.pack(protocol.Step([], self.server.load))[:-2])
            os._exit(7)

    async def cancel(self, name: str) -> None:
        task = self.tasks.get(name)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.send(protocol.CancelDone(name, self.server.cancelled_spend(name)))

    async def embed(self, ask: EmbedAsk) -> None:
        try:
            embedded = await self.server.embed(ask)
        except TramontaneError as error:
            self.send(protocol.refusal(ask.id, error))
            return
        self.send(protocol.EmbedDone(ask.id, list(embedded.rows), embedded.dimensions, embedded.spend))

    async def beat(self) -> None:
        while True:
            self.send(protocol.Heartbeat(self.server.load, 0))
            await asyncio.sleep(self.beat_s)


async def serve(descriptor: int, options: dict[str, Any]) -> int:
    """Answer until told to stop (status 0) or until the gateway is gone (status 1)."""
    engine = FakeEngine(options)
    loop = asyncio.get_running_loop()
    await loop.create_unix_connection(lambda: engine, sock=socket.socket(fileno=descriptor))
    for part in range(3):
        engine.send(protocol.Loading("pretending", part, 2))
    time.sleep(float(options.get("slow_load_s", 0)))  # noqa: ASYNC251  # a loading engine does not answer
    if message := options.get("fail_load"):
        sys.exit(message)
    if message := options.get("refuse_load"):
        engine.send(protocol.Refused("", "BadRequest", "invalid_request", message))
        await asyncio.sleep(0.1)
        return 1
    engine.send(protocol.Ready(engine.server.capacity, False))
    beat = asyncio.create_task(engine.beat())
    await engine.ended.wait()
    beat.cancel()
    return 0 if engine.stopped else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(int(sys.argv[1]), json.loads(sys.argv[2]))))
