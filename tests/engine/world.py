"""The engine with everything around it on virtual time, and the words its tests are written in."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tests.fakes.engine_world import Book, Directory, Starter, caller
from tests.fakes.model_server import Answer, FakeModelServer, Script, chat_ask, counting_answer
from tests.fakes.virtual_time import run_virtually, virtual_clock

from tramontane.engine.nouns import Policy
from tramontane.engine.room import Engine
from tramontane.engine.stream import Running
from tramontane.foundation.events import Event, Failed, Finished
from tramontane.foundation.nouns import Ask

STEP_S = 0.02


def slow(ask: Ask, max_tokens: int) -> Answer:
    answer = counting_answer(ask, max_tokens)
    return Answer(batches=answer.batches, prefill_s=STEP_S, step_s=STEP_S)


class World:
    """One engine with everything around it."""

    def __init__(
        self,
        script: Script = slow,
        slots: int = 8,
        sizes: dict[str, int] | None = None,
        secret: bytes = b"s" * 32,
        **policy: Any,
    ) -> None:
        self.book = Book()
        self.starter = Starter(lambda model: FakeModelServer(model, script=script, slots=slots), sizes)
        self.directory = Directory("fake", "other", "third")
        self.engine = Engine(
            self.directory,
            self.starter,
            self.book,
            secret=secret,
            policy=Policy(**policy),
            clock=virtual_clock(),
            jitter=lambda: 0.0,
        )

    @property
    def server(self) -> FakeModelServer:
        server = self.starter.servers[-1]
        assert isinstance(server, FakeModelServer)
        return server

    async def answer(self, request_id: str, workspace: str = "quiet", **fields: Any) -> list[Event]:
        return await read(await self.engine.open(caller(workspace), chat_ask(request_id, **fields)))

    def assert_nothing_left(self) -> None:
        status = self.engine.status()
        assert status.open_requests == 0 and not self.engine._running and not self.engine._opening
        assert not self.engine._seating._works
        for line in self.engine._seating.lines.values():
            queue = line.queue
            assert (queue.waiting, queue.paused, queue.seats, queue.prefill_tokens) == (0, 0, 0, 0)
            assert not line._calls and not line._arriving
        assert all(replica.held_by == 0 for replica in self.engine._seating.fleet._replicas.values())
        assert sorted(self.book.begun) == sorted(receipt.request_id for receipt in self.book.receipts)


async def read(running: Running) -> list[Event]:
    return [event async for batch in running.events() for event in batch]


def virtually(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        run_virtually(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def last(events: Sequence[Event]) -> Event:
    assert sum(isinstance(event, Finished | Failed) for event in events) == 1
    return events[-1]
