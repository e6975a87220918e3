"""Takes one request from the door to a seat on a server, and from the seat to its receipt.

Joins admission, rates, the lines and the fleet; the room calls it for `open` and `embed`, a running stream calls it
when it ends or when its server died. Every step here may be undone at any await: `undo` and `settle` free it all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from tramontane.engine import admission
from tramontane.engine.account import Account, Entry, Outcome
from tramontane.engine.dispatch import seats_of
from tramontane.engine.fleet import Fleet
from tramontane.engine.line import Line
from tramontane.engine.namespaces import Namespaces
from tramontane.engine.nouns import SECOND_NS, Policy
from tramontane.engine.ports import ModelRef, ModelServer, Prepared, ServerStarter
from tramontane.engine.queue import Ticket, TicketState
from tramontane.engine.rates import KeyRates
from tramontane.engine.replicas import Suspects
from tramontane.engine.retries import RetryBudget
from tramontane.engine.work import Work
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import (
    DeadlineExceeded,
    EngineFailed,
    ModelUnavailable,
    Overloaded,
    TramontaneError,
)
from tramontane.foundation.nouns import Ask, Caller, EmbedAsk, Spend

T = TypeVar("T")
# When the server tells what a cancelled request had cost: at once, or after the step in progress.
SPEND_DELAYS_S = (0.02, 0.1, 0.4, 1.0)
BYTES_PER_TOKEN = 4


class Seating:
    """All lines and the fleet, and the work between arrival and receipt."""

    def __init__(
        self,
        starter: ServerStarter,
        account: Account,
        *,
        secret: bytes,
        policy: Policy,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        self.policy = policy
        self.clock = clock
        self.rates = KeyRates(policy.default_requests_per_minute, policy.default_tokens_per_minute)
        self.lines: dict[str, Line] = {}
        self.fleet = Fleet(
            starter, policy, clock, changed=self._server_changed, died=self._server_died, spawn=self.spawn
        )
        self._account = account
        self._namespaces = Namespaces(secret)
        self._jitter = jitter
        self._suspects = Suspects()
        self._retries = RetryBudget()
        self._works: dict[str, Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def admit(self, entry: Entry, ask: Ask | EmbedAsk, ref: ModelRef, deadline_ns: int) -> Work:
        """The checks that cost nothing: rate of requests, a place in the line, not known to kill its server."""
        caller, now_ns = entry.caller, self.clock.monotonic_ns()
        entry.model = ref.name
        self._take_request(caller, now_ns)
        line = self.lines.get(ref.name)
        if line is None:
            line = self.lines[ref.name] = Line(self.policy, self.clock, lambda: self.fleet.server(ref.name), self.spawn)
        full = admission.full_line(line.view(caller.workspace_id, caller.weight), self.policy, self._jitter())
        if full is not None:
            raise full
        work = Work(entry=entry, caller=caller, ask=ask, ref=ref, line=line, deadline_ns=deadline_ns)
        if len(self._suspects):
            self._refuse_poison(work)
        self._retries.opened(now_ns)
        self._works[ask.id] = work
        return work

    async def seat(self, work: Work) -> None:
        """Place, prepare and queue; returns when it is the work's turn on a live server that has prepared it."""
        with work.line.arriving(work.caller.workspace_id):
            await self._prepare(work)
            self._reserve(work)
            self._refuse_long_wait(work)
        await self._take_turn(work)

    def may_retry(self, work: Work) -> bool:
        """Once, when the server died and nothing was delivered, within the budget."""
        if work.retried or work.delivered or work.server.alive:
            return False
        self.fleet.note_death(work.server)
        return self._retries.take(self.clock.monotonic_ns())

    async def seat_again(self, work: Work) -> None:
        """Put the work on the dead server's replacement; raises the foundation's errors."""
        work.retried = True
        if work.ticket is not None:
            work.line.leave(work.ticket)
        self._drop_server(work)
        self._refuse_poison(work)
        work.suspect = True
        await self._prepare(work)
        await self._take_turn(work)

    def settle(self, work: Work, outcome: Outcome, code: str, spend: Spend | None) -> None:
        """Free what the work holds and post its receipt; None asks the server, then estimates."""
        if self._works.pop(work.ask.id, None) is None:
            return
        server: ModelServer = work.server
        if spend is None and server.alive:
            told = server.cancelled_spend(work.ask.id)
            spend = work.with_wait(told) if told is not None else None
        self._free(work, spend or work.estimated())
        if outcome == "finished" and len(self._suspects):
            self._suspects.cleared(work.fingerprint())
        if work.on_settled is not None:
            work.on_settled(work.ask.id)
        if spend is None and server.alive:
            self.spawn(self._receipt_later(work, outcome, code))
        else:
            self._account.close(work.entry, outcome, code, spend or work.estimated())

    def undo(self, entry: Entry, outcome: Outcome, code: str) -> None:
        """The request ends before anything ran for it, or while it was being embedded."""
        work = self._works.pop(entry.request_id, None)
        spend = Spend()
        if work is not None:
            seated = work.ticket is not None and work.ticket.state is TicketState.RUNNING
            if work.prepared is not None and work.server is not None and work.server.alive:
                work.server.discard(work.prepared)
            if seated and isinstance(work.ask, EmbedAsk):
                spend = work.estimated()
            self._free(work, spend)
        self._account.close(entry, outcome, code, spend)

    async def count(self, caller: Caller, ask: Ask, ref: ModelRef) -> int:
        """Prompt tokens of an ask, prepared and discarded."""
        self._take_request(caller, self.clock.monotonic_ns())
        try:
            async with asyncio.timeout(self.policy.max_wait_s):
                return await self._count(caller, ask, ref)
        except TimeoutError:
            raise self._still_loading(ref.name) from None

    async def _count(self, caller: Caller, ask: Ask, ref: ModelRef) -> int:
        server = await self.fleet.ready(ref.name, ref.idle_unload_s)
        self.fleet.hold(server)
        try:
            prepared = await self._read(server, caller, ask, ref.name)
            server.discard(prepared)
        finally:
            self.fleet.release(server)
        return prepared.prompt_tokens

    def tick(self) -> None:
        """Once a second."""
        now_ns = self.clock.monotonic_ns()
        for line in self.lines.values():
            line.tick(now_ns)
        self.fleet.tick(now_ns)

    async def close(self) -> None:
        """Stop all servers and whatever runs in the background."""
        await self.fleet.close()
        for line in self.lines.values():
            line.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run in the background, held until done; who needs its outcome awaits the task."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._spawned_is_done)
        return task

    def _spawned_is_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Marks it as seen: loads report through `changed` and to whoever waits for them.
            task.exception()

    def _take_request(self, caller: Caller, now_ns: int) -> None:
        wait_s = self.rates.take_request(caller, now_ns)
        if wait_s:
            raise admission.rate_limited("requests", self.rates.limits(caller)[0], wait_s, self._jitter())

    def _refuse_poison(self, work: Work) -> None:
        fingerprint, now_ns = work.fingerprint(), self.clock.monotonic_ns()
        if self._suspects.refused(fingerprint, now_ns):
            raise admission.poisoned()
        work.suspect = self._suspects.known(fingerprint, now_ns)

    async def _prepare(self, work: Work) -> None:
        """Find a server and let it read the ask; once more when that server dies over it."""
        for attempt in (1, 2):
            await self._place(work)
            if isinstance(work.ask, EmbedAsk):
                work.prompt_tokens = _embed_tokens(work.ask)
                return
            try:
                reading = self._read(work.server, work.caller, work.ask, work.model)
                work.prepared = await self._within(work, self.policy.first_token_s, reading)
                work.prompt_tokens = work.prepared.prompt_tokens
                return
            except EngineFailed:
                if attempt == 2 or work.server.alive:
                    raise
                self._drop_server(work)
            except TimeoutError:
                raise self._late(work) from None

    async def _place(self, work: Work) -> None:
        server = self.fleet.ready_now(work.model) or await self._loaded(work)
        self.fleet.hold(server)
        work.server = server

    async def _loaded(self, work: Work) -> ModelServer:
        ref = work.ref
        try:
            return await self._within(work, self.policy.max_wait_s, self.fleet.ready(ref.name, ref.idle_unload_s))
        except TimeoutError:
            if self.clock.monotonic_ns() >= work.deadline_ns:
                raise _deadline() from None
        raise self._still_loading(ref.name)

    def _still_loading(self, model: str) -> ModelUnavailable:
        hint_s = self.fleet.loading_hint_s(model)
        return ModelUnavailable(
            f"{model} is still loading; try again later",
            retry_after_s=admission.retry_after_s(hint_s, self._jitter()),
        )

    async def _read(self, server: ModelServer, caller: Caller, ask: Ask, model: str) -> Prepared:
        workspace = caller.workspace_id
        return await server.prepare(
            ask, namespace=self._namespaces.of(workspace, model), share=workspace, weight=caller.weight
        )

    async def _within(self, work: Work, seconds: float, call: Awaitable[T]) -> T:
        left_s = (work.deadline_ns - self.clock.monotonic_ns()) / SECOND_NS
        async with asyncio.timeout(min(seconds, left_s)):
            return await call

    def _reserve(self, work: Work) -> None:
        """Set the expected tokens aside in the key's bucket, and remember them for the line."""
        ask, prepared = work.ask, work.prepared
        typical = int(work.line.rate.tokens_per_request)
        if isinstance(ask, Ask) and prepared is not None:
            explicit = ask.limits.max_tokens is not None
            work.expected_tokens = ask.n * min(prepared.max_tokens, typical)
            answer = ask.n * prepared.max_tokens if explicit else work.expected_tokens
        else:
            answer = 0
        expected = work.prompt_tokens + answer
        wait_s = self.rates.reserve_tokens(work.caller, expected, self.clock.monotonic_ns())
        if wait_s:
            raise admission.rate_limited("tokens", self.rates.limits(work.caller)[1], wait_s, self._jitter())
        work.reserved_tokens = expected

    def _refuse_long_wait(self, work: Work) -> None:
        caller = work.caller
        left_s = (work.deadline_ns - self.clock.monotonic_ns()) / SECOND_NS
        allowed_s = min(float(work.line.patience.wait_s), left_s)
        view = work.line.view(caller.workspace_id, caller.weight)
        long = admission.long_wait(view, work.prompt_tokens, allowed_s, self.policy, self._jitter())
        if long is not None:
            raise long

    async def _take_turn(self, work: Work) -> None:
        ticket = work.ticket = self._ticket(work)
        if not await work.line.wait(ticket):
            raise self._late(work)
        work.queued_ns = self.clock.monotonic_ns() - work.entry.arrived_ns
        # The server it was prepared on may have been replaced while it waited.
        while not work.server.alive:
            self._drop_server(work)
            await self._prepare(work)

    def _ticket(self, work: Work) -> Ticket:
        now_ns = self.clock.monotonic_ns()
        caller = work.caller
        wait_ns = work.line.patience.wait_s * SECOND_NS
        n = work.ask.n if isinstance(work.ask, Ask) else 1
        return Ticket(
            id=work.ask.id,
            workspace=caller.workspace_id,
            key=caller.key_id or caller.principal_id,
            weight=max(1, caller.weight),
            prompt_tokens=work.prompt_tokens,
            expected_tokens=work.expected_tokens,
            arrived_ns=now_ns,
            give_up_ns=min(now_ns + wait_ns, work.deadline_ns),
            seats=seats_of(n, work.server.capacity.slots),
            suspect=work.suspect,
        )

    def _late(self, work: Work) -> TramontaneError:
        if self.clock.monotonic_ns() >= work.deadline_ns:
            return _deadline()
        view = work.line.view(work.caller.workspace_id, work.caller.weight)
        wait_s = max(1.0, view.predicted_wait_s)
        return Overloaded(
            "no server had room for this request in time; try again later",
            retry_after_s=admission.retry_after_s(wait_s, self._jitter(), admission.MAX_OUR_RETRY_S),
        )

    def _free(self, work: Work, spend: Spend) -> None:
        """Leave the line and the server, and settle the rates."""
        if work.ticket is not None:
            work.line.ended(work.ticket, spend)
        if work.server is not None:
            self._drop_server(work)
        if work.reserved_tokens:
            spent = spend.prompt_tokens + spend.generated_tokens
            self.rates.settle_tokens(work.caller, work.reserved_tokens, spent, self.clock.monotonic_ns())

    def _drop_server(self, work: Work) -> None:
        if not work.server.alive:
            self.fleet.note_death(work.server)
        self.fleet.release(work.server)

    async def _receipt_later(self, work: Work, outcome: Outcome, code: str) -> None:
        spend: Spend | None = None
        try:
            for delay_s in SPEND_DELAYS_S:
                await asyncio.sleep(delay_s)
                spend = work.server.cancelled_spend(work.ask.id)
                if spend is not None:
                    break
        finally:
            known = work.with_wait(spend) if spend is not None else work.estimated()
            self._account.close(work.entry, outcome, code, known)

    def _server_changed(self, model: str, error: TramontaneError | None) -> None:
        line = self.lines.get(model)
        if line is None:
            return
        if error is not None:
            line.fail_waiting(error)
            return
        line.pump()
        if line.queue.waiting and self.fleet.server(model) is None:
            self.spawn(self._bring_back(model))

    async def _bring_back(self, model: str) -> None:
        await self.fleet.ready(model)

    def _server_died(self, server: ModelServer) -> None:
        """Remember who may have killed it: those in prefill, or the only one on it.

        Among several that were being decoded nobody is blamed: their callers send them again together, and the innocent
        would be refused with the guilty. A model that keeps dying so is quarantined instead.
        """
        states = (TicketState.RUNNING, TicketState.PAUSED)
        works = [w for w in self._works.values() if w.server is server and w.ticket and w.ticket.state in states]
        blamed = works if len(works) == 1 else [w for w in works if w.ticket is not None and w.ticket.in_prefill]
        now_ns = self.clock.monotonic_ns()
        for fingerprint in {work.fingerprint() for work in blamed}:
            self._suspects.present_at_death(fingerprint, now_ns)


def _embed_tokens(ask: EmbedAsk) -> int:
    """A rough count, for order and rates only: the server counts exactly."""
    return sum(1 + len(item) // (BYTES_PER_TOKEN if isinstance(item, str) else 1) for item in ask.inputs)


def _deadline() -> DeadlineExceeded:
    return DeadlineExceeded("the time allowed for this request has passed; allow more time or try again later")
