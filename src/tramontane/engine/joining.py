"""What a request must pass, and what it takes along, when it joins its model's line: rates, the likely wait, a ticket.

Knows the keys' rates and the line's figures; knows no server and starts nothing. Seating calls it, in this order.
"""

from collections.abc import Callable

from tramontane.engine import admission
from tramontane.engine.dispatch import seats_of
from tramontane.engine.nouns import SECOND_NS, Policy
from tramontane.engine.queue import Ticket
from tramontane.engine.rates import KeyRates
from tramontane.engine.work import Work
from tramontane.foundation.clock import Clock
from tramontane.foundation.nouns import Ask, Caller


class Joining:
    """The checks between arrival and a place in the line. Each raises its refusal."""

    def __init__(self, rates: KeyRates, policy: Policy, clock: Clock, jitter: Callable[[], float]) -> None:
        self._rates = rates
        self._policy = policy
        self._clock = clock
        self._jitter = jitter

    def take_request(self, caller: Caller) -> None:
        """One more request of this key's; RateLimited beyond its rate."""
        wait_s = self._rates.take_request(caller, self._clock.monotonic_ns())
        if wait_s:
            raise admission.rate_limited("requests", self._rates.limits(caller)[0], wait_s, self._jitter())

    def require_place(self, work: Work) -> None:
        """RateLimited when the workspace's own part of the line is full, Overloaded when the whole line is."""
        view = work.line.view(work.caller.workspace_id, work.caller.weight)
        full = admission.full_line(view, self._policy, self._jitter())
        if full is not None:
            raise full

    def reserve(self, work: Work) -> None:
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
        wait_s = self._rates.reserve_tokens(work.caller, expected, self._clock.monotonic_ns())
        if wait_s:
            raise admission.rate_limited("tokens", self._rates.limits(work.caller)[1], wait_s, self._jitter())
        work.reserved_tokens = expected

    def refuse_long_wait(self, work: Work) -> None:
        """Overloaded when the wait would be longer than the line's patience or the request's own time."""
        caller = work.caller
        left_s = (work.deadline_ns - self._clock.monotonic_ns()) / SECOND_NS
        allowed_s = min(float(work.line.patience.wait_s), left_s)
        view = work.line.view(caller.workspace_id, caller.weight)
        long = admission.long_wait(view, work.prompt_tokens, allowed_s, self._policy, self._jitter())
        if long is not None:
            raise long

    def ticket(self, work: Work) -> Ticket:
        """The work's place in the line, from now on."""
        now_ns = self._clock.monotonic_ns()
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
