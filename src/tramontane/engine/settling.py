"""Ends a work once: frees what it holds, learns what it cost and closes its account.

Knows lines, rates and receipts; knows no order of events: seating and the running streams say when a work is over.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tramontane.engine.account import Account
from tramontane.engine.ports import ModelServer, Outcome
from tramontane.engine.queue import TicketState
from tramontane.engine.rates import KeyRates
from tramontane.engine.work import Work
from tramontane.foundation.clock import Clock
from tramontane.foundation.nouns import EmbedAsk, Spend

# When the server tells what a cancelled request had cost: at once, or after the step in progress.
SPEND_DELAYS_S = (0.02, 0.1, 0.4, 1.0)


class Settling:
    """Gives back seats, tokens and servers. `drop_server` tells the fleet that a work is on its server no longer."""

    def __init__(
        self,
        account: Account,
        rates: KeyRates,
        clock: Clock,
        *,
        drop_server: Callable[[Work], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._account = account
        self._rates = rates
        self._clock = clock
        self._drop_server = drop_server
        self._spawn = spawn

    def known(self, work: Work, spend: Spend | None) -> Spend | None:
        """What it cost: as given, else as its server tells at once, else None."""
        server: ModelServer = work.server
        if spend is not None or not server.alive:
            return spend
        told = server.cancelled_spend(work.ask.id)
        return work.with_wait(told) if told is not None else None

    def free(self, work: Work, spend: Spend) -> None:
        """Leave the line and the server, and settle the rates."""
        if work.ticket is not None:
            work.line.ended(work.ticket, spend)
        if work.server is not None:
            self._drop_server(work)
        if work.reserved_tokens:
            spent = spend.prompt_tokens + spend.generated_tokens
            self._rates.settle_tokens(work.caller, work.reserved_tokens, spent, self._clock.monotonic_ns())

    def post(self, work: Work, outcome: Outcome, code: str, spend: Spend | None) -> None:
        """Close the account; None waits a little for the server's count, then takes the estimate."""
        if spend is None and work.server.alive:
            self._spawn(self._post_later(work, outcome, code))
        else:
            self._account.close(work.entry, outcome, code, spend or work.estimated())

    def undo(self, work: Work) -> Spend:
        """Free a work for which nothing ran, or that was being embedded; what it cost."""
        seated = work.ticket is not None and work.ticket.state is TicketState.RUNNING
        if work.prepared is not None and work.server is not None and work.server.alive:
            work.server.discard(work.prepared)
        spend = work.estimated() if seated and isinstance(work.ask, EmbedAsk) else Spend()
        self.free(work, spend)
        return spend

    async def _post_later(self, work: Work, outcome: Outcome, code: str) -> None:
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
