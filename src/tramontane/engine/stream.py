"""One answer on its way up: passes the server's batches on and guarantees the last word, exactly once.

Watches the deadline (to the first token, between tokens, in all), carries out cancellation, and lets the room try once
more when the server died before a single token was delivered. Costs no task and no queue per token: the reader's own
task waits on the server, and a stop interrupts that wait.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Sequence
from enum import Enum
from typing import Any, Protocol

from tramontane.engine.nouns import SECOND_NS, Policy
from tramontane.engine.ports import ModelServer, Outcome, Prepared
from tramontane.engine.queue import TicketState
from tramontane.engine.work import Work
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import TramontaneError
from tramontane.foundation.events import Event, Failed, Finished, TextDelta, ThinkingDelta
from tramontane.foundation.nouns import Spend

log = logging.getLogger(__name__)


class Floor(Protocol):
    """What a stream needs of the room."""

    policy: Policy
    clock: Clock

    def may_retry(self, work: Work) -> bool: ...

    async def seat_again(self, work: Work) -> None:
        """Put the work on the dead server's replacement, prepared and dispatched; raises the foundation's errors."""
        ...

    def settle(self, work: Work, outcome: Outcome, code: str, spend: Spend | None) -> None:
        """Free what the work holds and post its receipt; None asks the server, then estimates."""
        ...

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> object: ...


class _Phase(Enum):
    OPEN = 0
    FLOWING = 1
    ENDED = 2


class Running:
    """A dispatched request that holds its place on a server. Read `events()` to its end or `close()` it."""

    __slots__ = ("_floor", "_outcome", "_phase", "_since_ns", "_source", "_stop", "_task", "_timer", "_work")

    def __init__(self, work: Work, floor: Floor) -> None:
        self._work = work
        self._floor = floor
        self._phase = _Phase.OPEN
        self._source: AsyncGenerator[Sequence[Event], None] | None = None
        self._task: asyncio.Task[Any] | None = None
        self._stop: Failed | None = None
        self._outcome: Outcome = "failed"
        self._since_ns = floor.clock.monotonic_ns()
        self._timer: asyncio.TimerHandle | None = None
        self._watch_again(int(floor.policy.first_token_s * SECOND_NS), self._since_ns)

    @property
    def request_id(self) -> str:
        return self._work.ask.id

    @property
    def workspace_id(self) -> str:
        return self._work.caller.workspace_id

    @property
    def model(self) -> str:
        """Name of the catalogue entry that answers (an alias is resolved)."""
        return self._work.model

    @property
    def prepared(self) -> Prepared:
        assert self._work.prepared is not None
        return self._work.prepared

    @property
    def queued_ns(self) -> int:
        """Time from arrival to dispatch."""
        return self._work.queued_ns

    async def events(self) -> AsyncGenerator[Sequence[Event], None]:
        """Batches of events; the last event of the last batch is `Finished` or `Failed`, always exactly one.

        Closing the generator, or cancelling the task that reads it, cancels the request. To be called once.
        """
        if self._phase is not _Phase.OPEN:
            yield (self._stop or Failed("conflict", "this answer was already read; send the request again"),)
            return
        self._phase = _Phase.FLOWING
        self._source = self._generate()
        work, clock = self._work, self._floor.clock
        try:
            while True:
                if self._stop is None:
                    self._since_ns = clock.monotonic_ns()
                    batch = await self._wait_for(self._source.__anext__())
                else:
                    batch = (self._stop,)
                if not batch:
                    continue
                tokens = 0
                for place, event in enumerate(batch):
                    kind = type(event)
                    if kind is TextDelta or kind is ThinkingDelta:
                        tokens += event.tokens
                    elif kind is Finished or kind is Failed:
                        # Nothing may follow a last word, whatever the server sends.
                        batch = batch[: place + 1]
                        break
                else:
                    work.served(tokens)
                    yield batch
                    continue
                work.generated_tokens += tokens
                ending = await self._end(batch)
                if ending is not None:
                    yield ending
                    return
        finally:
            if self._phase is not _Phase.ENDED:
                await self._settle("cancelled", "cancelled", None)

    async def close(self) -> None:
        """Cancel unless already over. Safe to call at any time, any number of times."""
        self.stop(Failed("cancelled", "the request was cancelled"), "cancelled")
        if self._task is None:
            await self._settle("cancelled", "cancelled", None)

    def stop(self, word: Failed, outcome: Outcome) -> bool:
        """End with `word` as soon as the reader comes by; compute stops now. False when it is already ending."""
        if self._phase is _Phase.ENDED or self._stop is not None:
            return False
        self._stop, self._outcome = word, outcome
        if self._task is not None:
            self._task.cancel()
        else:
            self._floor.spawn(self._settle(outcome, word.code, None))
        return True

    def _generate(self) -> AsyncGenerator[Sequence[Event], None]:
        server: ModelServer = self._work.server
        return server.generate(self.prepared)

    async def _wait_for(self, awaitable: Awaitable[Any]) -> Any:
        """Wait so that `stop` can interrupt; whatever goes wrong becomes a last word."""
        task = self._task = asyncio.current_task()
        assert task is not None
        try:
            batch = await awaitable
        except asyncio.CancelledError:
            if self._stop is None or task.uncancel() > 0:
                raise
            return (self._stop,)
        except StopAsyncIteration:
            batch = (Failed("engine_failed", "the engine ended the answer without a last word; try again"),)
        except TramontaneError as error:
            batch = (Failed(error.code, error.message),)
        # The adapter is a process boundary: its surprises must not cost the caller the last word.
        except Exception:
            log.exception("the server of %s broke while answering %s", self._work.model, self._work.ask.id)
            batch = (Failed("engine_failed", "the engine broke while answering; try again"),)
        finally:
            self._task = None
        if self._stop is not None:
            task.uncancel()
            return (self._stop,)
        return batch

    async def _end(self, batch: Sequence[Event]) -> Sequence[Event] | None:
        """Settle by the last word; None when the request was put on a new server and goes on."""
        word = batch[-1]
        if word is self._stop:
            await self._settle(self._outcome, self._stop.code, None)
            return batch
        if type(word) is Finished:
            cost = self._work.with_wait(word.spend)
            await self._settle("finished", "", cost)
            return (*batch[:-1], Finished(cost))
        assert type(word) is Failed
        if len(batch) == 1 and self._floor.may_retry(self._work):
            failure = await self._wait_for(self._try_again())
            if failure is None:
                return None
            word = failure[-1]
            batch = failure
        if word is self._stop:
            await self._settle(self._outcome, word.code, None)
        else:
            counted = word.spend.prompt_tokens > 0
            cost = self._work.with_wait(word.spend) if counted else self._work.estimated()
            await self._settle("failed", word.code, cost)
        return batch

    async def _try_again(self) -> None:
        await self._close_source()
        await self._floor.seat_again(self._work)
        self._source = self._generate()

    async def _settle(self, outcome: Outcome, code: str, spend: Spend | None) -> None:
        if self._phase is _Phase.ENDED:
            return
        unread = self._phase is _Phase.OPEN
        self._phase = _Phase.ENDED
        if self._timer is not None:
            self._timer.cancel()
        work = self._work
        try:
            if unread and work.server.alive:
                work.server.discard(work.prepared)
            await self._close_source()
        finally:
            self._floor.settle(work, outcome, code, Spend() if unread else spend)

    async def _close_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            await source.aclose()

    def _watch(self) -> None:
        """The timer's look: end what is late, else look again when it could be."""
        if self._phase is _Phase.ENDED or self._stop is not None:
            return
        work, policy = self._work, self._floor.policy
        now_ns = self._floor.clock.monotonic_ns()
        limit_s = policy.between_tokens_s if work.delivered else policy.first_token_s
        limit_ns = int(limit_s * SECOND_NS)
        assert work.ticket is not None
        waits = self._task is not None and work.ticket.state is TicketState.RUNNING
        idle_ns = now_ns - max(self._since_ns, work.ticket.since_ns) if waits else 0
        if now_ns >= work.deadline_ns:
            self.stop(Failed("deadline_exceeded", "the time allowed for this request has passed"), "failed")
        elif self._phase is _Phase.OPEN:
            self.stop(Failed("cancelled", "nobody read the answer"), "cancelled")
        elif idle_ns >= limit_ns:
            self.stop(Failed("deadline_exceeded", f"the engine sent no token for {limit_s:.0f} s; try again"), "failed")
        else:
            self._watch_again(limit_ns - idle_ns, now_ns)

    def _watch_again(self, after_ns: int, now_ns: int) -> None:
        delay_s = min(after_ns, max(0, self._work.deadline_ns - now_ns)) / 1e9
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._watch)
