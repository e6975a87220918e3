"""Moves one model's line: carries out what dispatch decides, wakes who may start, and is told of every token served.

Event driven: it looks again when somebody joins, leaves, finishes prefill, when the server changes, and at the one
time dispatch named. Knows no receipts and no streams.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from tramontane.engine.admission import LineView
from tramontane.engine.dispatch import decide
from tramontane.engine.nouns import LineStatus, Policy
from tramontane.engine.ports import Capacity, ModelServer
from tramontane.engine.queue import PROMPT_WORK, TOKEN_WORK, FairQueue, Ticket, TicketState
from tramontane.engine.service_rate import Patience, ServiceRate, predicted_wait_s
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import TramontaneError
from tramontane.foundation.nouns import Spend

NO_SERVER = Capacity(slots=0, context_tokens=0)


class Line:
    """`server` answers who serves this model now, None while nobody does; `spawn` runs a coroutine in the background."""

    def __init__(
        self,
        policy: Policy,
        clock: Clock,
        server: Callable[[], ModelServer | None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.queue = FairQueue()
        self.rate = ServiceRate()
        self.patience = Patience(policy.max_wait_s)
        self._policy = policy
        self._clock = clock
        self._server = server
        self._spawn = spawn
        self._calls: dict[str, asyncio.Future[bool]] = {}
        self._arriving: dict[str, int] = {}
        self._saturated = False
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def arriving(self, workspace: str) -> Iterator[None]:
        """Counts a request as waiting while its model is loaded and its prompt is read."""
        self._arriving[workspace] = self._arriving.get(workspace, 0) + 1
        try:
            yield
        finally:
            self._arriving[workspace] -= 1
            if not self._arriving[workspace]:
                del self._arriving[workspace]

    def view(self, workspace: str, weight: int) -> LineView:
        """The line as one more request of this workspace would find it."""
        now_ns = self._clock.monotonic_ns()
        queue, own = self.queue, self.queue.shares.get(workspace)
        own_waiting, own_work = (own.waiting, own.waiting_work) if own else (0, 0)
        wait_s = 0.0
        if queue.waiting:
            others = [(s.waiting_work, s.weight) for s in queue.shares.values() if s is not own and s.waiting]
            wait_s = predicted_wait_s(own_work, weight, others, self.rate.per_s(now_ns))
        return LineView(
            own_waiting=own_waiting + self._arriving.get(workspace, 0),
            waiting=queue.waiting + sum(self._arriving.values()),
            waiting_prompt_tokens=queue.waiting_prompt_tokens,
            predicted_wait_s=wait_s,
        )

    async def wait(self, ticket: Ticket) -> bool:
        """Stand in the line. True when it is this ticket's turn, False when its time to give up has come.

        Raises what `fail_waiting` was given. However it ends but by True, the ticket has left.
        """
        call = self._calls[ticket.id] = asyncio.get_running_loop().create_future()
        self.queue.push(ticket, self._clock.monotonic_ns())
        self.pump()
        try:
            return await call
        except BaseException:
            self.leave(ticket)
            raise
        finally:
            del self._calls[ticket.id]

    def leave(self, ticket: Ticket) -> None:
        """The ticket's request is over, or does not want to wait any more."""
        if ticket.state is not TicketState.GONE:
            wanted = self.queue.anyone_wants
            self.queue.leave(ticket, self._clock.monotonic_ns())
            if wanted:
                self.pump()

    def served(self, ticket: Ticket, tokens: int) -> None:
        """On the token path: `tokens` more of this request were generated."""
        if ticket.in_prefill:
            self._prefilled(ticket)
        work = tokens * TOKEN_WORK
        self.queue.charge(ticket, work)
        self.rate.served(work)

    def ended(self, ticket: Ticket, spend: Spend) -> None:
        """A request is over at this cost: give back what its prompt was charged but the cache saved, and leave."""
        if spend.prompt_tokens and ticket.state is not TicketState.GONE:
            computed = spend.prompt_tokens - spend.cached_tokens
            self.queue.charge(ticket, (computed - ticket.prompt_tokens) * PROMPT_WORK)
            self.rate.ended(spend.generated_tokens)
        self.leave(ticket)

    def fail_waiting(self, error: TramontaneError) -> None:
        """Nobody will serve this model soon: everyone waiting is told."""
        for ticket in list(self.queue.tickets()):
            self.queue.leave(ticket, self._clock.monotonic_ns())
            call = self._calls[ticket.id]
            if not call.done():
                call.set_exception(error)

    def pump(self) -> None:
        """Decide and carry out."""
        now_ns = self._clock.monotonic_ns()
        server = self._server()
        queue = self.queue
        decisions = decide(queue, server.capacity if server is not None else NO_SERVER, self._policy, now_ns)
        for ticket in decisions.expired:
            self._call(ticket, False)
        if server is not None:
            for ticket in decisions.paused:
                self._spawn(server.pause(ticket.id))
            for ticket in decisions.resumed:
                self._spawn(server.resume(ticket.id))
        for ticket in decisions.started:
            self.patience.waited(now_ns - ticket.arrived_ns, now_ns)
            self._call(ticket, True)
        self._note_saturation(now_ns, server is not None and queue.waiting > 0)
        self._wake_at(decisions.wake_ns, now_ns)

    def close(self) -> None:
        """Look no more."""
        self._wake_at(None, 0)

    def tick(self, now_ns: int) -> None:
        """Once a second: cut the measurement into slices while it runs."""
        if self._saturated:
            self.rate.saturated(True, now_ns)

    def status(self) -> LineStatus:
        now_ns = self._clock.monotonic_ns()
        queue = self.queue
        oldest_ns = min((ticket.arrived_ns for ticket in queue.tickets()), default=now_ns)
        return LineStatus(
            waiting=queue.waiting,
            running=sum(len(share.running) for share in queue.shares.values()),
            paused=queue.paused,
            waiting_by_workspace={name: share.waiting for name, share in queue.shares.items() if share.waiting},
            running_by_workspace={name: len(share.running) for name, share in queue.shares.items() if share.running},
            length_limit=self._policy.max_waiting,
            oldest_wait_ms=(now_ns - oldest_ns) // 1_000_000,
            work_per_s=self.rate.per_s(now_ns),
        )

    def _prefilled(self, ticket: Ticket) -> None:
        self.queue.prefilled(ticket)
        self.rate.served(ticket.prompt_tokens * PROMPT_WORK)
        if self.queue.anyone_wants:
            self.pump()

    def _call(self, ticket: Ticket, turn: bool) -> None:
        call = self._calls[ticket.id]
        if not call.done():
            call.set_result(turn)

    def _note_saturation(self, now_ns: int, saturated: bool) -> None:
        if saturated != self._saturated:
            self._saturated = saturated
            self.rate.saturated(saturated, now_ns)
            if not saturated:
                self.patience.nobody_waits()

    def _wake_at(self, wake_ns: int | None, now_ns: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wake_ns is not None:
            delay_s = max(0, wake_ns - now_ns) / 1e9
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.pump)
