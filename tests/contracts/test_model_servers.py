"""The contract, kept by the fake in memory and by the engine client over a process that speaks the real protocol."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contracts.model_server import ModelServerContract
from tests.fakes.engines import start_fake_engine
from tests.fakes.model_server import Answer, FakeModelServer, counting_answer

from tramontane.engine.ports import ModelServer
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
