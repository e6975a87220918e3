"""The chat engine over the real loop and a fake model: one frame a step, one last word, and no request breaks another."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from tests.fakes.paged_model import FakePagedModel
from tests.fakes.token_requests import token_request

from tramontane.adapters.servers.completion.answer import AnswerReader
from tramontane.adapters.servers.openvino import protocol
from tramontane.adapters.servers.openvino.chat_engine import ChatEngine
from tramontane.adapters.servers.openvino.loop import EngineLoop
from tramontane.adapters.servers.openvino.prompts import Prompt, PromptDesk
from tramontane.engine.ports import Capacity
from tramontane.foundation.errors import EngineFailed
from tramontane.foundation.events import ChoiceEnd, Event, Failed, Finished, TextDelta
from tramontane.foundation.nouns import EmbedAsk

SOON_S = 20.0


class PlainReader:
    """Writes token ids as text; `stop_at` is a token that ends the answer, `break_at` one it cannot bear."""

    def __init__(self, index: int, stop_at: int | None = None, break_at: int | None = None) -> None:
        self.stopped = False
        self.reasoning_tokens = 0
        self._index = index
        self._stop_at = stop_at
        self._break_at = break_at
        self._seen = 0

    def push(self, tokens: Sequence[int], logprobs: object = None) -> list[Event]:
        events: list[Event] = []
        for token in tokens:
            self._seen += 1
            if self._seen == self._break_at:
                raise ValueError("no such word")
            if self._seen == self._stop_at:
                self.stopped = True
                break
            events.append(TextDelta(self._index, f" {token}"))
        return events

    def finish(self, reason: str) -> list[Event]:
        return [ChoiceEnd(self._index, cast(Any, reason))]


class ReadyDesk:
    """Prompts that lie ready, as if prepared."""

    def __init__(self) -> None:
        self.ready: dict[str, Prompt] = {}

    def put(self, request_id: str, max_tokens: int, *readers: PlainReader, **fields: Any) -> None:
        given = list(readers or (PlainReader(0),))
        request = token_request(request_id, [1, 2, 3, 4, 5], max_tokens, n=len(given), **fields)
        self.ready[request_id] = Prompt(request, cast(list[AnswerReader], given))

    def take(self, request_id: str) -> Prompt | None:
        return self.ready.pop(request_id, None)

    def discard(self, request_id: str) -> None:
        self.ready.pop(request_id, None)

    def close(self) -> None:
        pass


class Bench:
    """An engine on a thread of its own, and everything that it sent."""

    def __init__(self, **model: Any) -> None:
        self.model = FakePagedModel(**model)
        self.desk = ReadyDesk()
        self.sent: list[protocol.ToGateway] = []
        self.error: Exception | None = None
        loop = EngineLoop(self.model, max_sequences=16, prefill_chunk_tokens=16, speculate=False)
        capacity = Capacity(slots=16, context_tokens=256)
        self.engine = ChatEngine("fake", loop, cast(PromptDesk, self.desk), capacity, self.sent.append)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.engine.run()
        except Exception as error:
            self.error = error

    def start(self, *request_ids: str) -> None:
        for request_id in request_ids:
            self.engine.take(protocol.Start(request_id))

    def wait(self, done: Callable[[], bool]) -> None:
        limit = time.monotonic() + SOON_S
        while not done():
            assert time.monotonic() < limit, self.sent
            time.sleep(0.002)

    def events(self, request_id: str) -> list[Event]:
        frames = [message for message in list(self.sent) if isinstance(message, protocol.Step)]
        return [event for frame in frames for name, events in frame.batches if name == request_id for event in events]

    def finish(self, request_id: str) -> list[Event]:
        self.wait(lambda: any(isinstance(event, Finished | Failed) for event in self.events(request_id)))
        return self.events(request_id)

    def close(self) -> None:
        self.engine.stop()
        self._thread.join(SOON_S)
        assert not self._thread.is_alive()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def words(events: Sequence[Event], index: int = 0) -> list[int]:
    return [int(event.text) for event in events if isinstance(event, TextDelta) and event.index == index]


def test_an_answer_is_the_models_and_ends_once(bench: Bench) -> None:
    bench.desk.put("a", 12)
    bench.start("a")
    events = bench.finish("a")
    assert words(events) == bench.model.greedy([1, 2, 3, 4, 5], 12)
    assert events[-2] == ChoiceEnd(0, "length")
    last = events[-1]
    assert isinstance(last, Finished)
    assert (last.spend.prompt_tokens, last.spend.generated_tokens) == (5, 12)


def test_one_frame_a_step_carries_every_request(bench: Bench) -> None:
    names = [f"r{turn}" for turn in range(8)]
    for name in names:
        bench.desk.put(name, 40)
    bench.start(*names)
    for name in names:
        assert len(words(bench.finish(name))) == 40
    frames = [message for message in bench.sent if isinstance(message, protocol.Step)]
    assert len(frames) <= len(bench.model.steps) + 1
    assert max(len(frame.batches) for frame in frames) == 8
    assert all(len({name for name, _ in frame.batches}) == len(frame.batches) for frame in frames)


def test_a_stop_found_in_the_text_ends_the_choice_and_nothing_follows(bench: Bench) -> None:
    bench.desk.put("s", 200, PlainReader(0, stop_at=4), PlainReader(1))
    bench.start("s")
    bench.wait(lambda: ChoiceEnd(0, "stop") in bench.events("s"))
    bench.engine.take(protocol.Cancel("s"))
    bench.wait(lambda: any(isinstance(message, protocol.CancelDone) for message in bench.sent))
    events = bench.events("s")
    assert len(words(events, 0)) == 3
    assert not any(isinstance(event, Finished | Failed) for event in events)


def test_stopping_every_choice_finishes_the_request_and_its_computing(bench: Bench) -> None:
    bench.desk.put("s", 200, PlainReader(0, stop_at=4))
    bench.start("s")
    events = bench.finish("s")
    assert [type(event) for event in events] == [TextDelta] * 3 + [ChoiceEnd, Finished]
    # What was in the running step when the stop was found does not count, and no step follows it.
    assert isinstance(events[-1], Finished) and events[-1].spend.generated_tokens == 4
    assert len(bench.model.steps) == 5


def test_a_cancel_is_answered_with_what_it_cost(bench: Bench) -> None:
    bench.desk.put("c", 200)
    bench.start("c")
    bench.wait(lambda: len(bench.events("c")) > 3)
    bench.engine.take(protocol.Cancel("c"))
    bench.wait(lambda: any(isinstance(message, protocol.CancelDone) for message in bench.sent))
    (done,) = [message for message in bench.sent if isinstance(message, protocol.CancelDone)]
    assert done.spend is not None
    assert 0 < done.spend.generated_tokens < 200
    assert bench.engine.load.running == 0


def test_a_cancel_never_loses_the_cost(bench: Bench) -> None:
    """Whenever it comes, either the last word has been sent or the answer to the cancel says what was spent."""
    for turn in range(30):
        name = f"c{turn}"
        bench.desk.put(name, 3)
        bench.start(name)
        bench.engine.take(protocol.Cancel(name))
        bench.wait(lambda name=name: any(getattr(m, "id", "") == name for m in bench.sent))  # type: ignore[misc]
        (done,) = [m for m in bench.sent if isinstance(m, protocol.CancelDone) and m.id == name]
        told = any(isinstance(event, Finished) for event in bench.events(name))
        assert told != (done.spend is not None)


def test_a_reader_that_breaks_ends_its_request_alone(bench: Bench) -> None:
    bench.desk.put("bad", 60, PlainReader(0, break_at=5))
    bench.desk.put("good", 60)
    bench.start("bad", "good")
    last = bench.finish("bad")[-1]
    assert isinstance(last, Failed)
    assert last.code == "engine_failed"
    assert last.spend.generated_tokens > 0
    assert words(bench.finish("good")) == bench.model.greedy([1, 2, 3, 4, 5], 60)


def test_what_the_loop_refuses_fails_with_its_reason(bench: Bench) -> None:
    bench.desk.put("big", 5000)
    bench.start("big", "unknown")
    last = bench.finish("big")[-1]
    assert isinstance(last, Failed)
    assert last.code == "context_length_exceeded"
    assert isinstance(bench.finish("unknown")[-1], Failed)


def test_a_paused_request_waits_and_ends_as_it_would_have(bench: Bench) -> None:
    bench.desk.put("p", 100)
    bench.start("p")
    bench.wait(lambda: len(bench.events("p")) > 3)
    bench.engine.take(protocol.Pause("p"))
    bench.desk.put("other", 50)
    bench.start("other")
    bench.finish("other")
    before = len(bench.events("p"))
    bench.desk.put("third", 50)
    bench.start("third")
    bench.finish("third")
    assert len(bench.events("p")) == before
    bench.engine.take(protocol.Resume("p"))
    assert words(bench.finish("p")) == bench.model.greedy([1, 2, 3, 4, 5], 100)


def test_a_failed_step_fails_its_requests_and_the_next_ones_run() -> None:
    bench = Bench(fail_at=(6,))
    bench.desk.put("a", 50)
    bench.start("a")
    last = bench.finish("a")[-1]
    assert isinstance(last, Failed)
    assert last.spend.prompt_tokens == 5
    bench.desk.put("b", 10)
    bench.start("b")
    assert isinstance(bench.finish("b")[-1], Finished)
    bench.close()


def test_a_model_that_keeps_failing_ends_the_engine_after_the_last_words() -> None:
    bench = Bench(fail_at=range(100))
    for turn in range(3):
        bench.desk.put(f"r{turn}", 5)
        bench.start(f"r{turn}")
        assert isinstance(bench.finish(f"r{turn}")[-1], Failed)
    bench.wait(lambda: bench.error is not None)
    assert isinstance(bench.error, EngineFailed)


def test_a_chat_engine_does_not_embed(bench: Bench) -> None:
    bench.engine.take(protocol.Embed(EmbedAsk(id="e", model="m", inputs=("x",))))
    (refused,) = bench.sent
    assert isinstance(refused, protocol.Refused)
    assert "embedding model" in refused.message
