"""Whatever an engine process does, its requests get one last word each and the process does not stay."""

import asyncio
import os
import signal
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest
from tests.contracts.model_server import chat, prepare
from tests.fakes.clock import FakeClock
from tests.fakes.engines import PATIENCE, ROOT, fake_engine_command, start_fake_engine
from tests.waiting import until

from tramontane.adapters.servers.openvino.client import EngineServer
from tramontane.adapters.servers.openvino.supervisor import start_engine
from tramontane.adapters.servers.processes.child import ChildCommand
from tramontane.adapters.servers.processes.watch import Patience
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import BadRequest, EngineFailed, ModelUnavailable
from tramontane.foundation.events import Event, Failed, Finished
from tramontane.foundation.nouns import EmbedAsk
from tramontane.foundation.progress import silent

STREAMS = 32
LIMIT_S = 60.0  # ends a hang; nothing is judged by it
SECOND_NS = 1_000_000_000


async def read_all(server: EngineServer, request_id: str, text: str = "hello", begun: asyncio.Event | None = None):
    events: list[Event] = []
    prepared = await prepare(server, chat(request_id, text=text, max_tokens=2000))
    async with aclosing(server.generate(prepared)) as batches:
        async for batch in batches:
            events += batch
            if begun is not None:
                begun.set()
    return events


OTHERS: set[int] = set()


@pytest.fixture(autouse=True)
def _others_children() -> None:
    """Fixtures of the whole session keep processes of their own."""
    OTHERS.clear()
    OTHERS.update(child.pid for child in psutil.Process().children())


def children() -> list[psutil.Process]:
    """The living processes this test has started."""
    mine = [child for child in psutil.Process().children() if child.pid not in OTHERS]
    return [child for child in mine if child.status() != psutil.STATUS_ZOMBIE]


def pid_of_only_child() -> int:
    (child,) = children()
    return child.pid


def assert_failed_once(events: list[Event]) -> None:
    assert isinstance(events[-1], Failed)
    assert events[-1].code == "engine_failed"
    assert sum(isinstance(event, Finished | Failed) for event in events) == 1


async def open_streams(server: EngineServer, count: int) -> list[asyncio.Task[list[Event]]]:
    begun = [asyncio.Event() for _ in range(count)]
    tasks = [asyncio.create_task(read_all(server, f"s{turn}", begun=begun[turn])) for turn in range(count)]
    async with asyncio.timeout(LIMIT_S):
        for event in begun:
            await event.wait()
    return tasks


async def test_a_killed_engine_gives_every_stream_exactly_one_failed(tmp_path: Path) -> None:
    server = await start_fake_engine(tmp_path, step_s=0.01)
    tasks = await open_streams(server, STREAMS)
    os.kill(pid_of_only_child(), signal.SIGKILL)
    async with asyncio.timeout(LIMIT_S):
        answers = await asyncio.gather(*tasks)
    for events in answers:
        assert_failed_once(events)
        assert "ended" in events[-1].message, "the death itself was not noticed"
    assert not server.alive
    with pytest.raises(EngineFailed):
        await prepare(server, chat("late"))
    with pytest.raises(EngineFailed):
        await server.embed(EmbedAsk(id="late", model="any", inputs=("x",)))
    await server.close()
    assert children() == []


async def test_the_replacement_serves_after_a_death(tmp_path: Path) -> None:
    first = await start_fake_engine(tmp_path, step_s=0.01)
    await open_streams(first, 2)
    os.kill(pid_of_only_child(), signal.SIGKILL)
    async with asyncio.timeout(LIMIT_S):
        await first.closed.wait()
        await first.close()
        second = await start_fake_engine(tmp_path)
        prepared = await prepare(second, chat("s0", max_tokens=3))
        events = [event for batch in [batch async for batch in second.generate(prepared)] for event in batch]
    assert isinstance(events[-1], Finished)
    await second.close()


@pytest.mark.parametrize("order", ["!die", "!garbage", "!truncate", "!huge"])
async def test_a_broken_engine_fails_its_requests_and_is_gone(tmp_path: Path, order: str) -> None:
    server = await start_fake_engine(tmp_path, step_s=0.01)
    innocent = await open_streams(server, 4)
    async with asyncio.timeout(LIMIT_S):
        assert_failed_once(await read_all(server, "guilty", text=f"please {order}"))
        for task in innocent:
            assert_failed_once(await task)
        await server.close()
    assert children() == []


WATCHFUL = Patience(load_s=60.0, hang_s=5.0, look_s=0.01)


async def test_a_stopped_engine_is_found_to_hang(tmp_path: Path) -> None:
    clock = FakeClock()
    server = await start_fake_engine(tmp_path, WATCHFUL, clock, step_s=0.01)
    engine = psutil.Process(pid_of_only_child())
    reading = asyncio.create_task(read_all(server, "guilty", text="please !stop"))
    await until(lambda: engine.status() == psutil.STATUS_STOPPED)
    assert not reading.done()

    def failed_a_second_later() -> bool:
        clock.pass_ns(SECOND_NS)
        return reading.done()

    await until(failed_a_second_later)
    events = await reading
    await server.close()
    assert_failed_once(events)
    assert "hung" in events[-1].message
    assert children() == []


async def test_an_idle_engine_does_not_hang(tmp_path: Path) -> None:
    clock = FakeClock()
    server = await start_fake_engine(tmp_path, WATCHFUL, clock, beat_s=0.01)
    await seconds_with_a_beat(server, clock, 20)
    assert server.alive
    await server.close()


async def test_a_prepared_but_unstarted_ask_is_no_hang(tmp_path: Path) -> None:
    clock = FakeClock()
    server = await start_fake_engine(tmp_path, WATCHFUL, clock, beat_s=0.01)
    prepared = await prepare(server, chat("w1", max_tokens=3))
    await seconds_with_a_beat(server, clock, 20)
    events = [event for batch in [batch async for batch in server.generate(prepared)] for event in batch]
    assert isinstance(events[-1], Finished)
    await server.close()


async def seconds_with_a_beat(server: EngineServer, clock: FakeClock, seconds: int) -> None:
    """Let so much time pass, with a heartbeat in each second of it; the supervisor looks as often as it likes."""
    for _ in range(seconds):
        before = server.load
        await until(lambda heard=before: server.load is not heard)
        assert not server.hangs()
        clock.pass_ns(SECOND_NS)


async def test_an_engine_that_dies_while_loading_leaves_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"tensor blk\.3 is cut short"):
        await start_fake_engine(tmp_path, fail_load="tensor blk.3 is cut short")
    assert children() == []


async def test_an_engine_that_refuses_to_load_says_why_itself(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="prepare it again"):
        await start_fake_engine(tmp_path, refuse_load="format 7 is unknown; prepare it again")
    assert children() == []


async def test_loading_too_long_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="longer than"):
        await start_fake_engine(tmp_path, Patience(load_s=0.5, stop_s=0.1), slow_load_s=30)
    assert children() == []


async def test_a_cancelled_load_leaves_no_process(tmp_path: Path) -> None:
    loading = asyncio.create_task(start_fake_engine(tmp_path, Patience(stop_s=0.1), slow_load_s=30))
    await until(children)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert children() == []


async def test_progress_of_loading_is_passed_on(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    server = await start_engine(
        "fake",
        fake_engine_command(tmp_path / "engine.log"),
        PATIENCE,
        SystemClock(),
        lambda stage, done, total: heard.append((stage, done, total)),
    )
    assert heard == [("pretending", part, 2) for part in range(3)]
    await server.close()


async def test_closing_ends_the_process_cleanly_and_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    server = await start_fake_engine(tmp_path)
    await server.close()
    await server.close()
    assert children() == []
    assert "ended with status 0" in caplog.text


async def test_the_engine_leaves_when_the_gateway_is_gone(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, pathlib\n"
        "from tests.fakes.engines import start_fake_engine\n"
        "import psutil\n"
        "async def main():\n"
        f"    await start_fake_engine(pathlib.Path({str(tmp_path)!r}))\n"
        "    print(psutil.Process().children()[0].pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    command = ChildCommand(arguments=("-c", code), log_path=tmp_path / "gateway.log")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    process = await asyncio.create_subprocess_exec(
        os.sys.executable, *command.arguments, stdout=asyncio.subprocess.PIPE, env=environment
    )
    output, _ = await process.communicate()
    await until(lambda: not psutil.pid_exists(int(output)))


async def test_a_withdrawn_question_leaves_the_id_free(tmp_path: Path) -> None:
    server = await start_fake_engine(tmp_path)
    asking = asyncio.create_task(prepare(server, chat("w2")))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                server.discard(await prepare(server, chat("w2")))
                break
            except Exception as error:
                assert "already open" in str(error)
    await server.close()


async def test_a_missing_program_is_told_by_its_log(tmp_path: Path) -> None:
    command = ChildCommand(arguments=("-m", "tests.no_such_module"), log_path=tmp_path / "engine.log")
    with pytest.raises(ModelUnavailable, match="no_such_module"):
        await start_engine("fake", command, PATIENCE, SystemClock(), silent)
