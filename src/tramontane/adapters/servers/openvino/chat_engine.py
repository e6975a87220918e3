"""A text model at work inside its process: questions in, steps of the loop, one frame of events a step out.

Knows the order of things: while a step is computed, the one before it is turned into text and sent. Knows no weights,
no sampling and no text formats. The process runs it on its main thread and feeds it from its reader thread.
"""

import logging
import threading
from collections import deque
from dataclasses import dataclass, field

import msgspec

from tramontane.adapters.servers.openvino import protocol
from tramontane.adapters.servers.openvino.loop import EngineLoop
from tramontane.adapters.servers.openvino.prompts import Prompt, PromptDesk, Send
from tramontane.adapters.servers.openvino.request import ChoiceStep, StepReport
from tramontane.engine.ports import Capacity, Load
from tramontane.foundation.errors import BadRequest, EngineFailed, TramontaneError
from tramontane.foundation.events import Event, Failed, Finished
from tramontane.foundation.nouns import Spend

log = logging.getLogger(__name__)
_Order = protocol.Start | protocol.Cancel | protocol.Pause | protocol.Resume


@dataclass(slots=True)
class _Running:
    prompt: Prompt
    ended: set[int] = field(default_factory=set)


class ChatEngine:
    """Runs the loop until stopped. `take` and `stop` may be called from any thread, `run` from one."""

    def __init__(self, name: str, loop: EngineLoop, desk: PromptDesk, capacity: Capacity, send: Send) -> None:
        self.capacity = capacity
        self.load = Load()
        self.slowest_step_ns = 0
        self._name = name
        self._loop = loop
        self._desk = desk
        self._send = send
        self._running: dict[str, _Running] = {}
        self._orders: deque[_Order] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._report: StepReport | None = None  # finished, not yet turned into events

    def take(self, message: protocol.ToEngine) -> None:
        """Take a message in; what concerns running requests is done at the next step boundary."""
        match message:
            case protocol.Prepare():
                self._desk.prepare(message)
            case protocol.Discard(id=request_id):
                self._desk.discard(request_id)
            case protocol.Embed(ask=ask):
                text = f"{self._name} generates text and does not embed; name an embedding model"
                self._send(protocol.refusal(ask.id, BadRequest(text, param="model")))
            case protocol.Stop():
                self.stop()
            case protocol.Start() | protocol.Cancel() | protocol.Pause() | protocol.Resume():
                self._orders.append(message)
                self._wake.set()

    def stop(self) -> None:
        """Leave `run` after the step under way."""
        self._stopping = True
        self._wake.set()

    def run(self) -> None:
        """Step while there is work, sleep while there is none. Raises EngineFailed when the model keeps failing."""
        while not self._stopping:
            if self._report is None and not self._loop.has_work:
                self._wake.wait()
            self._obey()
            if self._loop.has_work:
                self._loop.begin_step()
                self._deliver()
                self._obey()
                self._report = self._loop.finish_step()
                self._note(self._report)
            else:
                self._deliver()
            if self._loop.broken:
                self._deliver()
                raise EngineFailed("the model has failed several steps in a row")

    def close(self) -> None:
        """Free what the preparation of prompts holds."""
        self._desk.close()

    def _note(self, report: StepReport) -> None:
        self.slowest_step_ns = max(self.slowest_step_ns, report.step_ns)
        self.load = self._loop.load

    def _obey(self) -> None:
        self._wake.clear()
        while self._orders:
            order = self._orders.popleft()
            match order:
                case protocol.Start(id=request_id):
                    self._start(request_id)
                case protocol.Cancel(id=request_id):
                    self._cancel(request_id)
                case protocol.Pause(id=request_id):
                    self._loop.pause(request_id)
                case protocol.Resume(id=request_id):
                    self._loop.resume(request_id)

    def _start(self, request_id: str) -> None:
        prompt = self._desk.take(request_id)
        if prompt is None:
            self._fail(request_id, EngineFailed(f"request {request_id} was not prepared; send it again"))
            return
        try:
            self._loop.submit(prompt.request)
        except TramontaneError as error:
            self._fail(request_id, error)
            return
        self._running[request_id] = _Running(prompt)
        self.load = self._loop.load

    def _cancel(self, request_id: str) -> None:
        self._desk.discard(request_id)
        running = self._running.pop(request_id, None)
        spend = self._loop.cancel(request_id)
        if spend is None and self._report is not None:
            spend = self._report.finished.get(request_id) or self._report.failed_spend.get(request_id)
        if spend is not None and running is not None:
            spend = _with_reasoning(spend, running)
        self.load = self._loop.load
        self._send(protocol.CancelDone(request_id, spend))

    def _fail(self, request_id: str, error: TramontaneError) -> None:
        self._send(protocol.Step([(request_id, [Failed(error.code, error.message)])], self.load))

    def _deliver(self) -> None:
        """Turn the step before into events and send them as one frame."""
        if self._report is None:
            return
        report, self._report = self._report, None
        batches: dict[str, list[Event]] = {}
        for choice in report.choices:
            running = self._running.get(choice.request_id)
            if running is not None and choice.index not in running.ended:
                events = self._read(running, choice)
                if events:
                    batches.setdefault(choice.request_id, []).extend(events)
        for request_id, spend in report.finished.items():
            if (running := self._running.pop(request_id, None)) is not None:
                batches.setdefault(request_id, []).append(Finished(_with_reasoning(spend, running)))
        for request_id, message in report.failed.items():
            if (running := self._running.pop(request_id, None)) is not None:
                spend = _with_reasoning(report.failed_spend.get(request_id, Spend()), running)
                batches.setdefault(request_id, []).append(Failed(EngineFailed.code, message, spend))
        if batches:
            self._send(protocol.Step(list(batches.items()), self.load))

    def _read(self, running: _Running, choice: ChoiceStep) -> list[Event]:
        """One choice's events. A reader that breaks over what the model wrote ends its own request alone."""
        reader = running.prompt.readers[choice.index]
        try:
            events = reader.push(choice.tokens, choice.logprobs)
            if reader.stopped or choice.reason is not None:
                events += reader.finish("stop" if reader.stopped else choice.reason or "stop")
                running.ended.add(choice.index)
            if reader.stopped:
                self._loop.end_choice(choice.request_id, choice.index)
        except Exception:
            log.exception("the answer of request %s could not be read", choice.request_id)
            spend = self._loop.cancel(choice.request_id) or Spend()
            del self._running[choice.request_id]
            return [Failed(EngineFailed.code, "the answer could not be read; the engine's log says why", spend)]
        return events


def _with_reasoning(spend: Spend, running: _Running) -> Spend:
    tokens = sum(reader.reasoning_tokens for reader in running.prompt.readers)
    return msgspec.structs.replace(spend, reasoning_tokens=tokens) if tokens else spend
