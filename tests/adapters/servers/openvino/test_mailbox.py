"""Whatever arrives and however it is cut, a reader sees everything up to the first last word and nothing after it."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.openvino import protocol
from tramontane.adapters.servers.openvino.client import EngineServer
from tramontane.adapters.servers.openvino.mailbox import Answer, Mailbox
from tramontane.engine.ports import Load
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import EngineFailed
from tramontane.foundation.events import Event, Failed, Finished, TextDelta
from tramontane.foundation.nouns import Ask, EmbedAsk, Spend

events = st.one_of(
    st.builds(TextDelta, st.just(0), st.text(max_size=3)),
    st.just(Finished(Spend(generated_tokens=3))),
    st.just(Failed("engine_failed", "gone")),
)
batches = st.lists(st.lists(events, min_size=1, max_size=4), max_size=12)


class Owner:
    """Who would be told of an abandoned answer."""

    def __init__(self) -> None:
        self.dropped = 0
        self.asked_to_cancel = 0

    def drop(self, request_id: str, box: Mailbox) -> None:
        self.dropped += 1

    async def cancelled(self, request_id: str) -> None:
        self.asked_to_cancel += 1


@given(batches, st.lists(st.booleans(), max_size=30))
def test_a_reader_sees_everything_up_to_the_first_last_word(sent: list[list[Event]], turns: list[bool]) -> None:
    flat = [event for batch in sent for event in batch]
    end = next((place for place, event in enumerate(flat) if isinstance(event, Finished | Failed)), None)
    expected = flat if end is None else flat[: end + 1]

    async def deliver() -> tuple[list[Event], Owner]:
        owner, box = Owner(), Mailbox()
        seen: list[Event] = []
        answer = Answer(owner, "r", box)

        async def read() -> None:
            async for batch in answer:
                assert batch
                seen.extend(batch)

        reader = asyncio.create_task(read())
        pauses = iter(turns)
        for batch in sent:
            if not box.over:
                box.put(list(batch))
            if next(pauses, False):
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        for _ in range(4):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        return seen, owner

    seen, owner = asyncio.run(deliver())
    assert seen == expected
    assert owner.dropped == 1
    assert owner.asked_to_cancel == (end is None)


async def test_an_answer_that_nobody_keeps_is_dropped() -> None:
    owner = Owner()
    answer = Answer(owner, "r", Mailbox())
    del answer
    assert owner.dropped == 1


class Wire:
    """A transport that remembers what was written."""

    def __init__(self) -> None:
        self.written = protocol.FrameReader()
        self.messages: list[protocol.ToEngine] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.messages += [protocol.read_for_engine(frame) for frame in self.written.feed(data)]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
async def wired() -> tuple[EngineServer, Wire]:
    server, wire = EngineServer("m", SystemClock()), Wire()
    server.connection_made(wire)  # type: ignore[arg-type]
    return server, wire


async def prepared(server: EngineServer, name: str) -> Any:
    asking = asyncio.create_task(server.prepare(Ask(id=name, model="m"), namespace=b"", share=""))
    await asyncio.sleep(0)
    server.data_received(protocol.pack(protocol.PrepareDone(name, 3, 4)))
    return await asking


async def test_an_answer_unread_when_closed_still_tells_its_cost(wired: tuple[EngineServer, Wire]) -> None:
    server, wire = wired
    answer = server.generate(await prepared(server, "r"))
    spend = Spend(generated_tokens=7)
    server.data_received(protocol.pack(protocol.Step([("r", [Finished(spend)])], Load())))
    await answer.aclose()
    assert server.cancelled_spend("r") == spend
    assert not any(isinstance(message, protocol.Cancel) for message in wire.messages)


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.time_ns = 0

    def now_ns(self) -> int:
        return self.time_ns

    monotonic_ns = now_ns


@pytest.mark.parametrize("complete", [True, False])
async def test_a_slow_reader_of_a_complete_answer_is_no_hang(complete: bool) -> None:
    clock = Hand()
    server = EngineServer("m", clock, hang_after_s=10)
    server.connection_made(Wire())  # type: ignore[arg-type]
    answer = server.generate(await prepared(server, "r"))
    word = Finished(Spend()) if complete else TextDelta(0, "x")
    server.data_received(protocol.pack(protocol.Step([("r", [word])], Load(progress=1))))
    assert not server.hangs()
    for _ in range(30):
        clock.time_ns += 10**9
        server.data_received(protocol.pack(protocol.Heartbeat(Load(progress=1), 0)))
    assert server.hangs() == (not complete)
    del answer


async def test_events_for_nobody_are_dropped(wired: tuple[EngineServer, Wire]) -> None:
    server, _ = wired
    server.data_received(protocol.pack(protocol.Step([("stranger", [TextDelta(0, "x")])], Load(running=1))))
    server.data_received(protocol.pack(protocol.CancelDone("stranger", None)))
    server.data_received(protocol.pack(protocol.PrepareDone("stranger", 1, 1)))
    assert server.alive
    assert server.load.running == 1


async def test_an_answer_of_the_wrong_kind_is_a_failure(wired: tuple[EngineServer, Wire]) -> None:
    server, _ = wired
    asking = asyncio.create_task(server.embed(EmbedAsk(id="e", model="m", inputs=("a", "b"))))
    await asyncio.sleep(0)
    server.data_received(protocol.pack(protocol.EmbedDone("e", [b"1234"], 1, Spend())))
    with pytest.raises(EngineFailed, match="wrong answer"):
        await asking


async def test_a_refusal_while_running_is_the_last_word(wired: tuple[EngineServer, Wire]) -> None:
    server, _ = wired
    answer = server.generate(await prepared(server, "r"))
    server.data_received(protocol.pack(protocol.Refused("r", "BadRequest", "invalid_request", "no")))
    assert [batch async for batch in answer] == [[Failed("invalid_request", "no")]]
