"""The gateway's end of an engine process: a ModelServer over one socket.

Knows requests in flight, their mailboxes and their last words; knows neither weights nor how the process was started.
The supervisor makes one per process. All of it runs on the event loop, nothing waits but the callers' own futures.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

from tramontane.adapters.servers.openvino import protocol
from tramontane.adapters.servers.openvino.mailbox import Answer, Mailbox
from tramontane.adapters.servers.processes.watch import ProgressWatch
from tramontane.engine.ports import Capacity, Embedded, Load, Prepared
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import BadRequest, Conflict, EngineFailed
from tramontane.foundation.events import Event, Failed, Finished
from tramontane.foundation.nouns import Ask, EmbedAsk, Spend
from tramontane.foundation.progress import ProgressReport

CANCEL_WAIT_S = 2.0
KEPT_SPENDS = 1024

log = logging.getLogger(__name__)


class EngineServer(asyncio.Protocol):
    """A ModelServer whose weights live in another process."""

    def __init__(self, model: str, clock: Clock, *, hang_after_s: float = 10.0) -> None:
        self.model = model
        self.capacity = Capacity(slots=0, context_tokens=0)
        self.load = Load()
        self.alive = True
        self.isolated = False
        self.report: ProgressReport | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()
        self.supervision: asyncio.Task[None] | None = None
        self.broken = ""
        self._clock = clock
        patience_ns, now_ns = int(hang_after_s * 1e9), clock.monotonic_ns()
        self._steps_watch = ProgressWatch(patience_ns, unchanged_since_ns=now_ns)
        self._pulse_watch = ProgressWatch(patience_ns, unchanged_since_ns=now_ns)
        self._heard = 0
        self._transport: asyncio.Transport | None = None
        self._frames = protocol.FrameReader()
        self._boxes: dict[str, Mailbox] = {}
        self._waiting: set[str] = set()  # prepared, not started
        self._paused: set[str] = set()
        self._embedding = 0
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._cancels: dict[str, asyncio.Future[None]] = {}
        self._spends: dict[str, Spend] = {}

    # the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self.alive:
            return
        self._heard += 1
        try:
            for frame in self._frames.feed(data):
                self._receive(protocol.read_for_gateway(frame))
        except protocol.FrameError as error:
            log.error("engine of %s broke the protocol: %s", self.model, error)
            self.fail(f"the engine process of {self.model} sent something unreadable and was stopped; try again")

    def connection_lost(self, error: Exception | None) -> None:
        self.fail(f"the engine process of {self.model} ended; try again")

    def fail(self, reason: str) -> None:
        """Hang up and give every open request its last word, once; nothing is accepted afterwards."""
        if self._transport is not None:
            self._transport.close()
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self.alive:
            return
        self.alive = False
        self.broken = reason
        for box in self._boxes.values():
            if not box.over:
                box.put([Failed(EngineFailed.code, reason)])
        for future in (*self._answers.values(), self.ready):
            if not future.done():
                future.set_exception(EngineFailed(reason))
        for waiter in self._cancels.values():
            if not waiter.done():
                waiter.set_result(None)
        self.closed.set()

    def hangs(self) -> bool:
        """Whether there is something to compute and no step ends, or anything is open and no word comes.

        Reading a request is not computing: it has limits of its own and may wait for a helper process to start. Nor is
        an answer that is complete and whose reader is slow to take it.
        """
        now_ns = self._clock.monotonic_ns()
        idle = self._waiting | self._paused
        computing = self._embedding > 0 or any(not box.over and name not in idle for name, box in self._boxes.items())
        self._steps_watch.observe(self.load.progress, has_work=computing, now_ns=now_ns)
        self._pulse_watch.observe(self._heard, has_work=bool(self._boxes or self._answers), now_ns=now_ns)
        return self.alive and (self._steps_watch.hangs(now_ns) or self._pulse_watch.hangs(now_ns))

    # what the process says

    def _receive(self, message: protocol.ToGateway) -> None:
        match message:
            case protocol.Step(batches=batches, load=load):
                self.load = load
                boxes = self._boxes
                for request_id, events in batches:
                    box = boxes.get(request_id)
                    if box is not None and not box.over and events:
                        box.put(events)
            case protocol.Heartbeat(load=load, slowest_step_ns=slowest_step_ns):
                self.load = load
                self._steps_watch.slowest_step_ns = slowest_step_ns
            case protocol.PrepareDone(id=answered) | protocol.EmbedDone(id=answered):
                self._answer(answered, message)
            case protocol.Refused():
                self._refuse(message)
            case protocol.CancelDone(id=cancelled, spend=spend):
                self._settle(cancelled, spend)
            case protocol.Loading(stage=stage, done=done, total=total):
                if self.report is not None:
                    self.report(stage, done, total)
            case protocol.Ready(capacity=capacity, isolated=isolated):
                self.capacity, self.isolated = capacity, isolated
                if not self.ready.done():
                    self.ready.set_result(None)

    def _answer(self, request_id: str, message: protocol.PrepareDone | protocol.EmbedDone) -> None:
        future = self._answers.get(request_id)
        if future is not None and not future.done():
            future.set_result(message)

    def _refuse(self, refused: protocol.Refused) -> None:
        future = self._answers.get(refused.id) if refused.id else self.ready
        if future is not None and not future.done():
            future.set_exception(protocol.refusal_error(refused))
        elif (box := self._boxes.get(refused.id)) is not None and not box.over:
            box.put([Failed(refused.code, refused.message)])

    def _settle(self, request_id: str, spend: Spend | None) -> None:
        if spend is not None:
            self._spends[request_id] = spend
            if len(self._spends) > KEPT_SPENDS:
                self._spends.pop(next(iter(self._spends)))
        waiter = self._cancels.get(request_id)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # what callers ask

    async def prepare(self, ask: Ask, *, namespace: bytes, share: str, weight: int = 1) -> Prepared:
        """See ModelServer. A caller cancelled while waiting leaves nothing behind in the process."""
        done = await self._ask(ask.id, protocol.Prepare(ask, namespace, share, weight), protocol.Discard(ask.id))
        if not isinstance(done, protocol.PrepareDone):
            raise EngineFailed(f"the engine process of {self.model} gave the wrong answer; try again")
        if not self.alive:
            raise EngineFailed(self.broken)
        self._boxes[ask.id] = Mailbox()
        self._waiting.add(ask.id)
        return Prepared(ask=ask, prompt_tokens=done.prompt_tokens, max_tokens=done.max_tokens)

    def generate(self, prepared: Prepared) -> AsyncGenerator[Sequence[Event], None]:
        """See ModelServer. Generation begins with this call; several steps may arrive as one batch."""
        request_id = prepared.ask.id
        box = self._boxes.get(request_id)
        if box is None or request_id not in self._waiting:
            box = Mailbox()
            message = f"request {request_id} is not prepared or already runs; prepare it before generating"
            box.put([Failed(BadRequest.code, message)])
            return Answer(self, "", box)
        self._waiting.discard(request_id)
        self._send(protocol.Start(request_id))
        return Answer(self, request_id, box)

    def discard(self, prepared: Prepared) -> None:
        """See ModelServer."""
        request_id = prepared.ask.id
        if self._boxes.pop(request_id, None) is not None:
            self._waiting.discard(request_id)
            self._send(protocol.Discard(request_id))

    def cancelled_spend(self, request_id: str) -> Spend | None:
        """See ModelServer; known as soon as the answer's `aclose` has returned."""
        return self._spends.pop(request_id, None)

    async def pause(self, request_id: str) -> None:
        if request_id in self._boxes and request_id not in self._waiting | self._paused:
            self._paused.add(request_id)
            self._send(protocol.Pause(request_id))

    async def resume(self, request_id: str) -> None:
        if request_id in self._paused:
            self._paused.discard(request_id)
            self._send(protocol.Resume(request_id))

    async def embed(self, ask: EmbedAsk) -> Embedded:
        """See ModelServer."""
        self._embedding += 1
        try:
            done = await self._ask(ask.id, protocol.Embed(ask), protocol.Discard(ask.id))
        finally:
            self._embedding -= 1
        if not isinstance(done, protocol.EmbedDone) or len(done.rows) != len(ask.inputs):
            raise EngineFailed(f"the engine process of {self.model} gave the wrong answer; try again")
        return Embedded(rows=done.rows, dimensions=done.dimensions, spend=done.spend)

    async def close(self) -> None:
        """End all requests and ask the process to stop; returns when it is gone and its memory is free."""
        self._send(protocol.Stop())
        self._end(f"the engine of {self.model} was unloaded; try again")
        if self.supervision is not None:
            await asyncio.shield(self.supervision)

    # between the two

    async def _ask(self, request_id: str, question: protocol.ToEngine, withdrawal: protocol.ToEngine) -> object:
        if not self.alive:
            raise EngineFailed(self.broken)
        if request_id in self._answers or request_id in self._boxes or request_id in self._cancels:
            raise Conflict(f"request {request_id} is already open; use a fresh id")
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._answers[request_id] = future
        try:
            self._send(question)
            return await future
        except asyncio.CancelledError:
            self._send(withdrawal)
            raise
        finally:
            del self._answers[request_id]

    def _send(self, message: protocol.ToEngine) -> None:
        if self.alive and self._transport is not None:
            self._transport.write(protocol.pack(message))

    def drop(self, request_id: str, box: Mailbox) -> None:
        """Forget a request whose answer is over or abandoned; one still running is told to stop."""
        if self._boxes.get(request_id) is not box:
            return
        del self._boxes[request_id]
        self._paused.discard(request_id)
        if not box.over:
            self._send(protocol.Cancel(request_id))
        elif box.events and isinstance(last := box.events[-1], Finished | Failed):
            self._settle(request_id, last.spend)

    async def cancelled(self, request_id: str) -> None:
        """Wait until the process has confirmed a cancellation, at most `CANCEL_WAIT_S`."""
        if not self.alive:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._cancels[request_id] = waiter
        try:
            async with asyncio.timeout(CANCEL_WAIT_S):
                await waiter
        except TimeoutError:
            log.warning("engine of %s did not confirm a cancellation in %s s", self.model, CANCEL_WAIT_S)
        finally:
            del self._cancels[request_id]
