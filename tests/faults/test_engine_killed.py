"""kill -9 of a real engine process under the engine room: its own requests end, everything else goes on."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest
from tests.fakes.engine_world import Book, Directory, caller
from tests.fakes.engines import start_fake_engine
from tests.fakes.model_server import chat_ask

from tramontane.adapters.servers.openvino.client import EngineServer
from tramontane.engine.room import Engine
from tramontane.foundation.events import Event, Failed, Finished
from tramontane.foundation.nouns import Limits
from tramontane.foundation.progress import ProgressReport

STREAMS = 32


class Processes:
    """Starts a fake engine process for every load."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[EngineServer] = []

    async def start(self, model: str, report: ProgressReport) -> EngineServer:
        server = await start_fake_engine(self.folder, slots=48, step_s=0.01)
        self.servers.append(server)
        return server

    def memory_bytes(self, model: str) -> int:
        return 0


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


async def test_every_stream_of_a_killed_engine_gets_one_last_word_and_the_next_request_its_replacement(
    tmp_path: Path,
) -> None:
    book, processes, before = Book(), Processes(tmp_path), {child.pid for child in children()}
    engine = Engine(Directory("fake"), processes, book, secret=b"s" * 32)
    await engine.start()
    flowing = asyncio.Barrier(STREAMS + 1)

    async def stream(number: int) -> list[Event]:
        # Longer than the test lasts, so that all of them are in the middle when the process dies.
        ask = chat_ask(f"r{number}", text=f"question {number}", limits=Limits(max_tokens=3000))
        running = await engine.open(caller(f"w{number % 4}"), ask)
        events: list[Event] = []
        async for batch in running.events():
            if not events:
                await flowing.wait()
            events += batch
        return events

    readers = [asyncio.create_task(stream(number)) for number in range(STREAMS)]
    await flowing.wait()
    (engine_pid,) = [child.pid for child in children() if child.pid not in before]
    os.kill(engine_pid, signal.SIGKILL)
    for events in await asyncio.gather(*readers):
        words = [event for event in events if isinstance(event, Finished | Failed)]
        assert len(words) == 1 and events[-1] is words[0]
        assert isinstance(words[0], Failed) and words[0].code == "engine_failed"
    running = await engine.open(caller(), chat_ask("next"))
    assert isinstance([event async for batch in running.events() for event in batch][-1], Finished)
    assert len(processes.servers) == 2
    await engine.drain(1)
    outcomes = [receipt.outcome for receipt in book.receipts]
    assert outcomes.count("failed") == STREAMS and outcomes.count("finished") == 1
    assert len({receipt.request_id for receipt in book.receipts}) == len(book.receipts)
    assert {child.pid for child in children()} <= before


@pytest.mark.parametrize("order", ["leave", "cancel"])
async def test_a_stream_that_is_left_stops_computing_in_the_process(tmp_path: Path, order: str) -> None:
    book, processes = Book(), Processes(tmp_path)
    engine = Engine(Directory("fake"), processes, book, secret=b"s" * 32)
    ask = chat_ask("r", limits=Limits(max_tokens=3000))
    stream = (await engine.open(caller(), ask)).events()
    await stream.__anext__()
    if order == "leave":
        await stream.aclose()
    else:
        assert engine.cancel("r", caller())
        rest = [event async for batch in stream for event in batch]
        assert len(rest) == 1 and isinstance(rest[0], Failed)
    await engine.drain(5)
    receipt = book.of("r")
    assert receipt.outcome == "cancelled" and 0 < receipt.spend.generated_tokens < 3000
    # The process's own count, not the gateway's estimate, which knows nothing of cache reads.
    assert receipt.spend.cache_reads > 0
