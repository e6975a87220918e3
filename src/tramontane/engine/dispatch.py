"""Decides, for one model, who starts, pauses, resumes or has waited too long, and when to look again.

Pure: works on the line, the server's capacity, a few numbers and the time. Keeps the server's own queue short by a
budget of prompt tokens in prefill, keeps the last seats for workspaces that have none, and shares out seats that are
all taken by pausing whoever was served most.
"""

from dataclasses import dataclass, field

from tramontane.engine.nouns import SECOND_NS, Policy
from tramontane.engine.ports import Capacity
from tramontane.engine.queue import FairQueue, Share, Ticket, TicketState

# A workspace with no prompt in prefill may start past the budget: servers share prefill fairly between workspaces.
NEWCOMER_BUDGETS = 4
RESERVED_PART = 8


@dataclass(slots=True)
class Decisions:
    """What to do now, in this order; `wake_ns` is when time alone may change the answer, None for never."""

    expired: list[Ticket] = field(default_factory=list)
    paused: list[Ticket] = field(default_factory=list)
    resumed: list[Ticket] = field(default_factory=list)
    started: list[Ticket] = field(default_factory=list)
    wake_ns: int | None = None

    def wake_at(self, at_ns: int) -> None:
        if self.wake_ns is None or at_ns < self.wake_ns:
            self.wake_ns = at_ns


def reserved_seats(slots: int) -> int:
    """Seats no workspace gets beside others it holds, so that somebody new is served at once."""
    return max(1, slots // RESERVED_PART) if slots > 1 else 0


def seats_of(n: int, slots: int) -> int:
    """Seats a request of `n` choices takes: never more than a workspace can ever have."""
    return max(1, min(n, slots - reserved_seats(slots)))


def decide(queue: FairQueue, capacity: Capacity, policy: Policy, now_ns: int) -> Decisions:
    """Apply every move that is due to `queue` and list them for whoever carries them out."""
    decisions = Decisions()
    _expire(queue, now_ns, decisions)
    blocked = _fill(queue, capacity, policy, now_ns, decisions)
    while capacity.can_pause and blocked:
        if not _make_room(queue, capacity, policy, now_ns, decisions, blocked):
            break
        blocked = _fill(queue, capacity, policy, now_ns, decisions)
    if queue.soonest_give_up_ns is not None:
        decisions.wake_at(queue.soonest_give_up_ns)
    return decisions


def _expire(queue: FairQueue, now_ns: int, decisions: Decisions) -> None:
    if queue.soonest_give_up_ns is not None and queue.soonest_give_up_ns <= now_ns:
        decisions.expired = queue.give_up(now_ns)


def _fill(queue: FairQueue, capacity: Capacity, policy: Policy, now_ns: int, decisions: Decisions) -> list[Ticket]:
    """Start and resume while anyone fits; returns the heads that lack only a seat, most deserving first."""
    while True:
        ticket, blocked = _next(queue, capacity, policy, now_ns)
        if ticket is None:
            return blocked
        _start(queue, ticket, now_ns, decisions)


def _start(queue: FairQueue, ticket: Ticket, now_ns: int, decisions: Decisions) -> None:
    (decisions.resumed if ticket.state is TicketState.PAUSED else decisions.started).append(ticket)
    queue.start(ticket, now_ns)


def _next(queue: FairQueue, capacity: Capacity, policy: Policy, now_ns: int) -> tuple[Ticket | None, list[Ticket]]:
    blocked: list[Ticket] = []
    for share in queue.by_turn():
        ticket = share.head
        seated = queue.seats + ticket.seats <= _usable(share, capacity.slots)
        admitted = _may_prefill(queue, share, ticket, policy)
        if seated and admitted:
            return ticket, blocked
        if admitted:
            blocked.append(ticket)
        # Who is served by nobody and has waited is not overtaken any more, else small requests could starve a big one.
        if not share.running and now_ns - ticket.since_ns >= _ns(policy.pause_after_s):
            break
    return None, blocked


def _usable(share: Share, slots: int) -> int:
    """Slots this workspace may fill up to: the reserve is for those that hold none."""
    return slots - reserved_seats(slots) if share.running else slots


def _may_prefill(queue: FairQueue, share: Share, ticket: Ticket, policy: Policy) -> bool:
    if ticket.state is TicketState.PAUSED:
        return True
    if ticket.suspect and queue.suspects_in_prefill:
        return False
    budget = policy.prefill_tokens_in_flight * (1 if share.prefill_tokens else NEWCOMER_BUDGETS)
    return not queue.prefill_tokens or queue.prefill_tokens + ticket.prompt_tokens <= budget


def _make_room(
    queue: FairQueue, capacity: Capacity, policy: Policy, now_ns: int, decisions: Decisions, blocked: list[Ticket]
) -> bool:
    """Pause what the first head that has waited long enough needs, and start it; False when nothing can be done now."""
    for ticket in blocked:
        due_ns = ticket.since_ns + _ns(policy.pause_after_s)
        if due_ns > now_ns:
            decisions.wake_at(due_ns)
            continue
        needy = queue.shares[ticket.workspace]
        needed = min(ticket.seats, queue.seats + ticket.seats - _usable(needy, capacity.slots))
        victims = _victims(queue, needy, capacity.slots, policy, now_ns, decisions)
        chosen = _enough(victims, needed)
        if chosen:
            for victim in chosen:
                queue.pause(victim, now_ns)
            decisions.paused += chosen
            _start(queue, ticket, now_ns, decisions)
            return True
        # Those behind it were served more, so fewer could be paused for them.
        return False
    return False


def _enough(victims: list[Ticket], seats: int) -> list[Ticket]:
    """The first victims that together free `seats`; none when all together do not."""
    freed = 0
    for count, victim in enumerate(victims, start=1):
        freed += victim.seats
        if freed >= seats:
            return victims[:count]
    return []


def _victims(
    queue: FairQueue, needy: Share, slots: int, policy: Policy, now_ns: int, decisions: Decisions
) -> list[Ticket]:
    """Who may be paused for `needy`: the newest first of workspaces served more and seated above their part.

    A request keeps its seat for the run quantum; the end of the next quantum is noted as a time to look again.
    """
    present = [share for share in queue.shares.values() if share.backlogged or share.running]
    weights = sum(share.weight for share in present)
    victims: list[Ticket] = []
    for share in sorted(present, key=lambda share: -share.counter):
        spare = share.seats - slots * share.weight // weights
        if share.counter <= needy.counter:
            break
        for ticket in reversed(share.running.values()):
            if spare <= 0:
                break
            ready_ns = ticket.since_ns + _ns(policy.run_quantum_s)
            if ready_ns > now_ns:
                decisions.wake_at(ready_ns)
                continue
            spare -= ticket.seats
            victims.append(ticket)
    return victims


def _ns(seconds: float) -> int:
    return int(seconds * SECOND_NS)
