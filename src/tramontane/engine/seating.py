"""Takes one request from the door to a seat on a server, and from the seat to its receipt.

Says in which order a request is admitted (`joining`), read (`preparing`), queued (`line`) and settled (`settling`), and
what a server's coming and going means for those on it. The room calls it for `open` and `embed`, a running stream when
it ends or when its server died. Every step here may be undone at any await: `undo` and `settle` free it all.
"""

from collections.abc import Callable

from tramontane.engine import admission
from tramontane.engine.account import Account, Entry
from tramontane.engine.background import Background
from tramontane.engine.fleet import Fleet
from tramontane.engine.joining import Joining
from tramontane.engine.line import Line
from tramontane.engine.namespaces import Namespaces
from tramontane.engine.nouns import Policy
from tramontane.engine.ports import ModelRef, ModelServer, Outcome, ServerStarter
from tramontane.engine.preparing import Preparing
from tramontane.engine.queue import TicketState
from tramontane.engine.rates import KeyRates
from tramontane.engine.replicas import Suspects
from tramontane.engine.retries import RetryBudget
from tramontane.engine.settling import Settling
from tramontane.engine.work import Work
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import TramontaneError
from tramontane.foundation.nouns import Ask, Caller, EmbedAsk, Spend


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
        self._background = Background()
        self.spawn = self._background.spawn
        self.fleet = Fleet(
            starter, policy, clock, changed=self._server_changed, died=self._server_died, spawn=self.spawn
        )
        self._account = account
        self._joining = Joining(self.rates, policy, clock, jitter)
        self._preparing = Preparing(self.fleet, Namespaces(secret), policy, clock, jitter)
        self._settling = Settling(account, self.rates, clock, drop_server=self._preparing.drop_server, spawn=self.spawn)
        self._suspects = Suspects()
        self._retries = RetryBudget()
        self._works: dict[str, Work] = {}

    def admit(self, entry: Entry, ask: Ask | EmbedAsk, ref: ModelRef, deadline_ns: int) -> Work:
        """The checks that cost nothing: rate of requests, a place in the line, not known to kill its server."""
        entry.resolve(ref.name)
        self._joining.take_request(entry.caller)
        work = Work(
            entry=entry, caller=entry.caller, ask=ask, ref=ref, line=self._line(ref.name), deadline_ns=deadline_ns
        )
        self._joining.require_place(work)
        if len(self._suspects):
            self._refuse_poison(work)
        self._retries.opened(self.clock.monotonic_ns())
        self._works[ask.id] = work
        return work

    async def seat(self, work: Work) -> None:
        """Place, prepare and queue; returns when it is the work's turn on a live server that has prepared it."""
        with work.line.arriving(work.caller.workspace_id):
            await self._preparing.prepare(work)
            self._joining.reserve(work)
            self._joining.refuse_long_wait(work)
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
        self._preparing.drop_server(work)
        self._refuse_poison(work)
        work.suspect = True
        await self._preparing.prepare(work)
        await self._take_turn(work)

    def settle(self, work: Work, outcome: Outcome, code: str, spend: Spend | None) -> None:
        """Free what the work holds and post its receipt, once; None asks the server, then estimates."""
        if self._works.pop(work.ask.id, None) is None:
            return
        known = self._settling.known(work, spend)
        self._settling.free(work, known or work.estimated())
        if outcome == "finished" and len(self._suspects):
            self._suspects.cleared(work.fingerprint())
        if work.on_settled is not None:
            work.on_settled(work.ask.id)
        self._settling.post(work, outcome, code, known)

    def undo(self, entry: Entry, outcome: Outcome, code: str) -> None:
        """The request ends before anything ran for it, or while it was being embedded."""
        work = self._works.pop(entry.request_id, None)
        spend = Spend() if work is None else self._settling.undo(work)
        self._account.close(entry, outcome, code, spend)

    async def count(self, caller: Caller, ask: Ask, ref: ModelRef) -> int:
        """Prompt tokens of an ask, prepared and discarded."""
        self._joining.take_request(caller)
        return await self._preparing.count(caller, ask, ref)

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
        await self._background.close()

    def _line(self, model: str) -> Line:
        line = self.lines.get(model)
        if line is None:
            line = self.lines[model] = Line(self.policy, self.clock, lambda: self.fleet.server(model), self.spawn)
        return line

    def _refuse_poison(self, work: Work) -> None:
        fingerprint, now_ns = work.fingerprint(), self.clock.monotonic_ns()
        if self._suspects.refused(fingerprint, now_ns):
            raise admission.poisoned()
        work.suspect = self._suspects.known(fingerprint, now_ns)

    async def _take_turn(self, work: Work) -> None:
        ticket = work.ticket = self._joining.ticket(work)
        if not await work.line.wait(ticket):
            raise self._preparing.late(work)
        work.queued_ns = self.clock.monotonic_ns() - work.entry.arrived_ns
        # The server it was prepared on may have been replaced while it waited.
        while not work.server.alive:
            self._preparing.drop_server(work)
            await self._preparing.prepare(work)

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
