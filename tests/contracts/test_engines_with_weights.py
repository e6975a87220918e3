"""The contract, kept by real weights: our engine process and a managed llama.cpp server."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio
from tests.contracts.model_server import ModelServerContract, answer, assert_one_last_word, chat, prepare, text_of
from tests.waiting import PATIENCE_S, until

from tramontane.adapters.servers.llamacpp import LlamaCppStarter
from tramontane.adapters.servers.llamacpp.starter import installed
from tramontane.adapters.servers.openvino.client import EngineServer
from tramontane.adapters.servers.openvino.supervisor import OpenVinoStarter
from tramontane.engine.ports import ModelServer
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import BadRequest, ContextExceeded, InvalidFields, ModelUnavailable
from tramontane.foundation.events import ChoiceEnd, Event, Failed, Finished, TextDelta
from tramontane.foundation.nouns import AnswerFormat, EmbedAsk, Limits
from tramontane.foundation.progress import silent
from tramontane.foundation.settings import EngineSettings

# One event loop and one process for the whole module: loading takes longer than most of these tests.
pytestmark = [pytest.mark.models, pytest.mark.asyncio(loop_scope="module")]

SETTINGS = EngineSettings(cache_bytes=128 * 1024 * 1024)
STREAMS = 32


async def start_chat(folder: Path, logs: Path) -> EngineServer:
    return await OpenVinoStarter(SETTINGS, logs, SystemClock()).start("embedded-chat", folder, silent)


class Kept:
    """A server shared by tests and started again when one has closed or killed it."""

    def __init__(self, start: Callable[[], Awaitable[ModelServer]]) -> None:
        self._start = start
        self._server: ModelServer | None = None

    async def get(self) -> ModelServer:
        if self._server is None or not self._server.alive:
            self._server = await self._start()
        return self._server

    async def close(self) -> None:
        if self._server is not None:
            await self._server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept_engine(prepared_chat: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kept]:
    logs = tmp_path_factory.mktemp("logs")
    kept = Kept(lambda: start_chat(prepared_chat, logs))
    yield kept
    await kept.close()


@pytest_asyncio.fixture(loop_scope="module")
async def engine(kept_engine: Kept) -> ModelServer:
    return await kept_engine.get()


class TestEngineProcess(ModelServerContract):
    @pytest_asyncio.fixture(loop_scope="module")
    async def server(self, kept_engine: Kept) -> ModelServer:
        return await kept_engine.get()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept_llama(chat_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kept]:
    # One thread: its threads wait for one another in a busy loop, which starves them on a machine with other work.
    starter = LlamaCppStarter(EngineSettings(threads=1), tmp_path_factory.mktemp("logs"), SystemClock())
    kept = Kept(lambda: starter.start("embedded-gguf", chat_gguf, silent, context_tokens=1024))
    yield kept
    await kept.close()


@pytest.mark.skipif(not installed(), reason="the optional wheel xllamacpp is not installed")
class TestManagedLlamaCpp(ModelServerContract):
    can_pause = False
    at_once = 6
    most_tokens = 900

    @pytest_asyncio.fixture(loop_scope="module")
    async def server(self, kept_llama: Kept) -> ModelServer:
        return await kept_llama.get()


def process_named(name: str) -> psutil.Process:
    found = [child for child in psutil.Process().children() if child.cmdline()[:1] == [f"tramontane: engine {name}"]]
    (process,) = found
    return process


def interfaces_of(process: psutil.Process) -> list[str]:
    lines = Path(f"/proc/{process.pid}/net/dev").read_text("ascii").splitlines()[2:]
    return [line.split(":")[0].strip() for line in lines]


def damaged_copy(folder: Path, into: Path) -> Path:
    into.mkdir()
    for path in folder.iterdir():
        data = path.read_bytes()
        (into / path.name).write_bytes(data[: len(data) // 2] if path.suffix == ".safetensors" else data)
    return into


async def test_the_process_is_named_confined_and_poor(engine: ModelServer) -> None:
    assert isinstance(engine, EngineServer)
    process = process_named("embedded-chat")
    names = {"PATH", "HOME", "TRAMONTANE_HOME"} | {name for name in os.environ if "KEY" in name or "TOKEN" in name}
    assert not names & set(process.environ())
    if engine.isolated:
        assert interfaces_of(process) == ["lo"]
    sockets = [connection for connection in process.net_connections() if connection.family != socket.AF_UNIX]
    assert sockets == []


async def test_a_killed_engine_fails_its_streams_and_the_next_one_serves(kept_engine: Kept) -> None:
    server = await kept_engine.get()
    begun = [asyncio.Event() for _ in range(STREAMS)]

    async def read(turn: int) -> list[Event]:
        events: list[Event] = []
        ask = chat(f"k{turn}", text=f"Tell me about number {turn}", max_tokens=2000)
        async with aclosing(server.generate(await prepare(server, ask))) as batches:
            async for batch in batches:
                begun[turn].set()
                events += batch
        return events

    tasks = [asyncio.create_task(read(turn)) for turn in range(STREAMS)]
    async with asyncio.timeout(PATIENCE_S):
        for event in begun:
            await event.wait()
    os.kill(process_named("embedded-chat").pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        for events in await asyncio.gather(*tasks):
            assert_one_last_word(events)
            assert isinstance(events[-1], Failed)
            assert "ended" in events[-1].message, "the death itself was not noticed"
    replacement = await kept_engine.get()
    assert replacement is not server
    assert isinstance((await answer(replacement, chat("next")))[-1], Finished)


async def test_cached_prefixes_stay_in_their_namespace(engine: ModelServer) -> None:
    text = "The harbour wakes before the town does. " * 30

    async def cached(request_id: str, namespace: bytes) -> int:
        prepared = await prepare(engine, chat(request_id, text=text, max_tokens=2), namespace)
        events = [event async for batch in engine.generate(prepared) for event in batch]
        assert isinstance(events[-1], Finished)
        return events[-1].spend.cached_tokens

    assert await cached("n1", b"mine") == 0
    assert await cached("n2", b"mine") > 100
    assert await cached("n3", b"theirs") == 0


async def test_a_stop_string_ends_the_answer_and_is_not_in_it(engine: ModelServer) -> None:
    whole = text_of(await answer(engine, chat("s1", text="Count from one to twenty", max_tokens=40)))
    word = whole.split()[6]
    ask = chat("s2", text="Count from one to twenty", limits=Limits(max_tokens=40, ignore_eos=True, stop=(word,)))
    events = await answer(engine, ask)
    assert text_of(events) == whole[: whole.index(word)]
    assert [event.reason for event in events if isinstance(event, ChoiceEnd)] == ["stop"]
    assert_one_last_word(events)


async def test_log_probabilities_come_with_the_text(engine: ModelServer) -> None:
    events = await answer(engine, chat("l1", max_tokens=5, logprobs=3))
    choices = [choice for event in events if isinstance(event, TextDelta) for choice in event.logprobs or ()]
    assert len(choices) == 5
    for choice in choices:
        assert len(choice.top) == 3
        assert choice.taken.logprob <= 0
        assert choice.top[0].logprob >= choice.taken.logprob


async def test_a_schema_is_obeyed_and_a_bad_one_refused(engine: ModelServer) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    ask = chat(
        "j1",
        text="Give me a number",
        answer=AnswerFormat(kind="json_schema", schema=schema),
        limits=Limits(max_tokens=60),
    )
    assert text_of(await answer(engine, ask)).strip().startswith("{")
    with pytest.raises(InvalidFields):
        await prepare(engine, chat("j2", answer=AnswerFormat(kind="json_schema", schema={"type": "nonsense"})))
    assert_one_last_word(await answer(engine, chat("j3", max_tokens=3)))


async def test_a_chat_model_does_not_embed(engine: ModelServer) -> None:
    with pytest.raises(BadRequest, match="embedding model"):
        await engine.embed(EmbedAsk(id="e", model="any", inputs=("x",)))


@pytest.mark.skipif(not installed(), reason="the optional wheel xllamacpp is not installed")
async def test_llama_cpp_says_why_it_cannot_load_and_leaves_no_process(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(200))
    starter = LlamaCppStarter(EngineSettings(threads=1), tmp_path, SystemClock())
    with pytest.raises(ModelUnavailable, match="llama"):
        await starter.start("broken", broken, silent)
    assert not [child for child in psutil.Process().children() if "broken" in "".join(child.cmdline())]


@pytest.mark.skipif(not installed(), reason="the optional wheel xllamacpp is not installed")
async def test_a_killed_llama_cpp_fails_its_streams(kept_llama: Kept) -> None:
    server = await kept_llama.get()
    batches = server.generate(await prepare(server, chat("k1", max_tokens=TestManagedLlamaCpp.most_tokens)))
    async with asyncio.timeout(PATIENCE_S):
        events = list(await anext(batches))
        os.kill(process_named("embedded-gguf").pid, signal.SIGKILL)
        async for batch in batches:
            events += batch
        await until(lambda: not server.alive)
    assert_one_last_word(events)
    assert isinstance(events[-1], Failed)
    assert events[-1].code == "engine_failed"


async def test_a_foreign_folder_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"engine\.json") as caught:
        await start_chat(tmp_path, tmp_path / "logs")
    assert not isinstance(caught.value, TimeoutError)


async def test_damaged_weights_are_refused_at_load(prepared_chat: Path, tmp_path: Path) -> None:
    damaged = damaged_copy(prepared_chat, tmp_path / "damaged")
    with pytest.raises(ModelUnavailable, match="weights"):
        await start_chat(damaged, tmp_path / "logs")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedder(embedding_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EngineServer]:
    starter = OpenVinoStarter(SETTINGS, tmp_path_factory.mktemp("logs"), SystemClock())
    server = await starter.start("minilm", embedding_folder, silent)
    yield server
    await server.close()


async def test_embeddings_batch_and_keep_their_order(embedder: EngineServer) -> None:
    async def rows(request_id: str, *texts: str) -> np.ndarray:
        embedded = await embedder.embed(EmbedAsk(id=request_id, model="any", inputs=texts))
        return np.stack([np.frombuffer(row, "<f4") for row in embedded.rows])

    many = [f"sentence about topic {turn}" for turn in range(150)]
    whole, few = await asyncio.gather(rows("e1", *many), rows("e2", "a cat", "a kitten", "a tax form"))
    assert whole.shape == (150, 384)
    assert np.allclose((await rows("e3", many[77]))[0], whole[77], atol=1e-4)
    assert few[0] @ few[1] > few[0] @ few[2]


async def test_an_embedding_model_refuses_what_it_cannot_do(embedder: EngineServer) -> None:
    with pytest.raises(ContextExceeded, match="input 1"):
        await embedder.embed(EmbedAsk(id="b1", model="any", inputs=("x", "word " * 2000)))
    with pytest.raises(BadRequest, match="384"):
        await embedder.embed(EmbedAsk(id="b2", model="any", inputs=("x",), dimensions=100))
    with pytest.raises(InvalidFields):
        await embedder.embed(EmbedAsk(id="b3", model="any", inputs=()))
    with pytest.raises(BadRequest, match="chat model"):
        await prepare(embedder, chat("b4"))
