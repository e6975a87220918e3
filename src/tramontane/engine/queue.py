"""One model's line: who waits, who runs, who is paused, and whose turn it is.

Order between workspaces is fair by served tokens: a virtual counter of work divided by weight, smallest first, lifted
on return from idle. Within a workspace keys take turns, and each key's requests come in order of arrival. Pure: no
clock, no server. `dispatch` decides on it, `line` moves what it decided.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

PROMPT_WORK = 1
TOKEN_WORK = 2
# Counters are integers; the scale keeps what division by a weight loses far below one token.
SCALE = 1 << 20
MAX_IDLE_SHARES = 4096


class TicketState(StrEnum):
    NEW = "new"
    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    GONE = "gone"


MOVES: dict[TicketState, frozenset[TicketState]] = {
    TicketState.NEW: frozenset({TicketState.WAITING}),
    TicketState.WAITING: frozenset({TicketState.RUNNING, TicketState.GONE}),
    TicketState.RUNNING: frozenset({TicketState.PAUSED, TicketState.GONE}),
    TicketState.PAUSED: frozenset({TicketState.RUNNING, TicketState.GONE}),
    TicketState.GONE: frozenset(),
}


@dataclass(slots=True, eq=False, kw_only=True)
class Ticket:
    """One request in the line. `seats` is how many sequences it runs at once; `since_ns` when its state last changed.

    `weight` is its workspace's, whichever key it came with.

    `suspect` marks a request that was open when a server died: until its first token it runs beside no other suspect.
    """

    id: str
    workspace: str
    key: str
    weight: int
    prompt_tokens: int
    expected_tokens: int
    arrived_ns: int
    give_up_ns: int
    seats: int = 1
    suspect: bool = False
    state: TicketState = TicketState.NEW
    since_ns: int = 0
    in_prefill: bool = False

    @property
    def expected_work(self) -> int:
        return self.prompt_tokens * PROMPT_WORK + self.expected_tokens * TOKEN_WORK

    def move(self, state: TicketState, now_ns: int) -> None:
        if state not in MOVES[self.state]:
            raise ValueError(f"request {self.id} cannot go from {self.state} to {state}")
        self.state = state
        self.since_ns = now_ns


@dataclass(slots=True, eq=False)
class Share:
    """One workspace's part of the line: its counter of scaled work and its requests."""

    workspace: str
    weight: int = 1
    counter: int = 0
    lines: OrderedDict[str, deque[Ticket]] = field(default_factory=OrderedDict)
    waiting: int = 0
    waiting_work: int = 0
    running: dict[str, Ticket] = field(default_factory=dict)
    paused: dict[str, Ticket] = field(default_factory=dict)
    seats: int = 0
    prefill_tokens: int = 0

    @property
    def backlogged(self) -> bool:
        """Wants a seat it does not have."""
        return self.waiting > 0 or bool(self.paused)

    @property
    def head(self) -> Ticket:
        """Who is next of a backlogged share: a paused request before a new one, else the key whose turn it is."""
        if self.paused:
            return next(iter(self.paused.values()))
        return next(iter(self.lines.values()))[0]


class FairQueue:
    """All shares of one model."""

    def __init__(self) -> None:
        self.shares: dict[str, Share] = {}
        self.waiting = 0
        self.waiting_prompt_tokens = 0
        self.seats = 0
        self.prefill_tokens = 0
        self.suspects_in_prefill = 0
        self.paused = 0
        # No ticket gives up earlier; it may be earlier than any does, after one left. None when nobody waits.
        self.soonest_give_up_ns: int | None = None
        self._last_left: Share | None = None

    def push(self, ticket: Ticket, now_ns: int) -> None:
        """Join the line. A workspace that had nobody waiting is lifted, so idleness earns no credit."""
        share = self.shares.get(ticket.workspace)
        if share is None:
            self._forget_idle()
            share = self.shares[ticket.workspace] = Share(ticket.workspace)
        if not share.backlogged:
            share.counter = max(share.counter, self.level())
        share.weight = ticket.weight
        ticket.move(TicketState.WAITING, now_ns)
        share.lines.setdefault(ticket.key, deque()).append(ticket)
        share.waiting += 1
        share.waiting_work += ticket.expected_work
        self.waiting += 1
        self.waiting_prompt_tokens += ticket.prompt_tokens
        soonest_ns = self.soonest_give_up_ns
        self.soonest_give_up_ns = ticket.give_up_ns if soonest_ns is None else min(soonest_ns, ticket.give_up_ns)

    @property
    def anyone_wants(self) -> bool:
        """Somebody would take a seat if there were one."""
        return self.waiting > 0 or self.paused > 0

    def level(self) -> int:
        """Where a newcomer's counter starts: the smallest of those waiting, else that of the last who left the line."""
        counters = [share.counter for share in self.shares.values() if share.backlogged]
        if counters:
            return min(counters)
        return self._last_left.counter if self._last_left is not None else 0

    def by_turn(self) -> list[Share]:
        """Shares that want a seat, in the order in which they should get one."""
        wanting = [share for share in self.shares.values() if share.backlogged]
        if len(wanting) > 1:
            wanting.sort(key=_turn)
        return wanting

    def start(self, ticket: Ticket, now_ns: int) -> None:
        """Give a waiting or paused request its seats; a first start is charged its prompt."""
        share = self.shares[ticket.workspace]
        if ticket.state is TicketState.PAUSED:
            del share.paused[ticket.id]
            self.paused -= 1
        else:
            self._unline(share, ticket, rotate=True)
            share.prefill_tokens += ticket.prompt_tokens
            self.prefill_tokens += ticket.prompt_tokens
            self.suspects_in_prefill += ticket.suspect
            ticket.in_prefill = True
            self.charge(ticket, ticket.prompt_tokens * PROMPT_WORK)
        ticket.move(TicketState.RUNNING, now_ns)
        share.running[ticket.id] = ticket
        share.seats += ticket.seats
        self.seats += ticket.seats
        self._last_left = share

    def pause(self, ticket: Ticket, now_ns: int) -> None:
        share = self.shares[ticket.workspace]
        ticket.move(TicketState.PAUSED, now_ns)
        self._unseat(share, ticket)
        share.paused[ticket.id] = ticket
        self.paused += 1

    def leave(self, ticket: Ticket, now_ns: int) -> None:
        """Gone for good, from any state; a second time does nothing."""
        if ticket.state in (TicketState.GONE, TicketState.NEW):
            ticket.state = TicketState.GONE
            return
        share = self.shares[ticket.workspace]
        self.prefilled(ticket)
        if ticket.state is TicketState.WAITING:
            self._unline(share, ticket, rotate=False)
        elif ticket.state is TicketState.PAUSED:
            del share.paused[ticket.id]
            self.paused -= 1
        else:
            self._unseat(share, ticket)
        ticket.move(TicketState.GONE, now_ns)

    def give_up(self, now_ns: int) -> list[Ticket]:
        """Take out everyone whose time to give up has come."""
        late = [ticket for ticket in self.tickets() if ticket.give_up_ns <= now_ns]
        for ticket in late:
            self.leave(ticket, now_ns)
        self.soonest_give_up_ns = min((ticket.give_up_ns for ticket in self.tickets()), default=None)
        return late

    def prefilled(self, ticket: Ticket) -> None:
        """The prompt is computed: its part of the prefill budget is free again, and suspicion ends."""
        if ticket.in_prefill:
            ticket.in_prefill = False
            self.shares[ticket.workspace].prefill_tokens -= ticket.prompt_tokens
            self.prefill_tokens -= ticket.prompt_tokens
            self.suspects_in_prefill -= ticket.suspect
            ticket.suspect = False

    def charge(self, ticket: Ticket, work: int) -> None:
        """Add served work to the workspace's counter (negative when cached tokens are given back)."""
        self.shares[ticket.workspace].counter += work * SCALE // ticket.weight

    def tickets(self) -> Iterator[Ticket]:
        """Everyone waiting, in no particular order."""
        for share in self.shares.values():
            for line in share.lines.values():
                yield from line

    def _unline(self, share: Share, ticket: Ticket, *, rotate: bool) -> None:
        line = share.lines[ticket.key]
        line.remove(ticket)
        if not line:
            del share.lines[ticket.key]
        elif rotate:
            share.lines.move_to_end(ticket.key)
        share.waiting -= 1
        share.waiting_work -= ticket.expected_work
        self.waiting -= 1
        self.waiting_prompt_tokens -= ticket.prompt_tokens
        if not self.waiting:
            self.soonest_give_up_ns = None

    def _unseat(self, share: Share, ticket: Ticket) -> None:
        del share.running[ticket.id]
        share.seats -= ticket.seats
        self.seats -= ticket.seats

    def _forget_idle(self) -> None:
        """Keep the table bounded. Only counters a return would lift anyway are forgotten, so no debt is."""
        if len(self.shares) < MAX_IDLE_SHARES:
            return
        level = self.level()
        for name, share in list(self.shares.items()):
            if not share.backlogged and not share.running and share.counter <= level:
                del self.shares[name]


def _turn(share: Share) -> tuple[int, int, int]:
    return share.counter, share.seats, share.head.arrived_ns
