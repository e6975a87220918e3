"""The contract, kept by the fake in memory and by the engine client over a process that speaks the real protocol."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contracts.model_server import ModelServerContract
from tests.fakes import doors
from tests.fakes.engine_room import FakeRoom
from tests.fakes.engines import start_fake_engine
from tests.fakes.model_server import Answer, FakeModelServer, counting_answer
from tests.fakes.openai_server import API_KEY, MODEL, OpenAIServer, serving

from tramontane.adapters.servers.upstream import UpstreamSettings, connect
from tramontane.engine.ports import ModelServer
from tramontane.entrypoints.api import build_app
from tramontane.foundation.nouns import Ask


def slow_answer(ask: Ask, max_tokens: int) -> Answer:
    answer = counting_answer(ask, max_tokens)
    answer.step_s = 0.002
    return answer


class TestFakeServer(ModelServerContract):
    can_embed = True

    @pytest.fixture
    async def server(self) -> AsyncIterator[ModelServer]:
        server = FakeModelServer(script=slow_answer)
        yield server
        await server.close()


class TestEngineServerOverAFakeProcess(ModelServerContract):
    can_embed = True

    @pytest.fixture
    async def server(self, tmp_path: Path) -> AsyncIterator[ModelServer]:
        server = await start_fake_engine(tmp_path, step_s=0.002)
        yield server
        await server.close()


class TestUpstreamServer(ModelServerContract):
    can_pause = False
    can_embed = True
    counts_exactly = False
    knows_context = False
    owner = "someone"

    @pytest.fixture
    async def server(self) -> AsyncIterator[ModelServer]:
        async with serving(OpenAIServer(self.owner, step_s=0.002)) as address:
            settings = UpstreamSettings(base_url=address, upstream_model=MODEL, api_key=API_KEY)
            server = await connect("far", settings)
            yield server
            await server.close()


class TestUpstreamServerThatCounts(TestUpstreamServer):
    counts_exactly = True
    knows_context = True
    owner = "vllm"


class TestUpstreamServerOverAnotherTramontane(ModelServerContract):
    can_pause = False
    can_embed = True
    counts_exactly = False
    knows_context = False

    @pytest.fixture
    async def server(self) -> AsyncIterator[ModelServer]:
        room = FakeRoom(FakeModelServer("fake", script=slow_answer, slots=64))
        with doors.serving(build_app(doors.fake_doors(room))) as address:
            settings = UpstreamSettings(base_url=f"{address}/openai/v1", upstream_model="fake", api_key=doors.KEY)
            server = await connect("far", settings)
            yield server
            await server.close()
