"""What dispatch decides: seats, reserve, prefill budget, pausing, expiry, and fairness and progress under any load."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.tickets import ticket

from tramontane.engine.dispatch import decide, reserved_seats, seats_of
from tramontane.engine.nouns import SECOND_NS, Policy
from tramontane.engine.ports import Capacity
from tramontane.engine.queue import PROMPT_WORK, SCALE, TOKEN_WORK, FairQueue, Ticket, TicketState

POLICY = Policy()
GONE, RUNNING = TicketState.GONE, TicketState.RUNNING


def capacity(slots: int, can_pause: bool = True) -> Capacity:
    return Capacity(slots=slots, context_tokens=8192, can_pause=can_pause)


def pushed(queue: FairQueue, workspace: str, count: int = 1, now_ns: int = 0, **fields: object) -> list[Ticket]:
    tickets = [ticket(workspace, arrived_ns=now_ns, **fields) for _ in range(count)]
    for each in tickets:
        queue.push(each, now_ns)
    return tickets


def test_an_idle_server_starts_one_at_once_and_asks_for_no_wake() -> None:
    queue = FairQueue()
    (one,) = pushed(queue, "w")
    decisions = decide(queue, capacity(8), POLICY, 5)
    assert decisions.started == [one] and decisions.wake_ns is None and one.state is RUNNING


def test_without_a_server_nobody_starts_and_the_deadline_is_kept() -> None:
    queue = FairQueue()
    (one,) = pushed(queue, "w", give_up_ns=100)
    waiting = decide(queue, capacity(0, can_pause=False), POLICY, 5)
    assert not waiting.started and waiting.wake_ns == 100
    assert decide(queue, capacity(0), POLICY, 100).expired == [one] and one.state is GONE


def test_the_last_seats_are_for_workspaces_that_have_none() -> None:
    queue = FairQueue()
    flood = pushed(queue, "flooder", 64, prompt_tokens=1)
    assert len(decide(queue, capacity(48), POLICY, 0).started) == 48 - reserved_seats(48) == 42
    (quiet,) = pushed(queue, "quiet", prompt_tokens=1)
    assert decide(queue, capacity(48), POLICY, 1).started == [quiet]
    assert sum(each.state is RUNNING for each in flood) == 42


def test_a_server_of_one_slot_keeps_no_reserve() -> None:
    assert reserved_seats(1) == 0 and reserved_seats(2) == 1
    assert seats_of(8, 4) == 3 and seats_of(0, 4) == 1 and seats_of(3, 0) == 1


def test_prompts_in_prefill_stay_within_the_budget_but_a_newcomer_passes() -> None:
    queue = FairQueue()
    flood = pushed(queue, "flooder", 8, prompt_tokens=1000)
    assert len(decide(queue, capacity(48), POLICY, 0).started) == 2
    (quiet,) = pushed(queue, "quiet", prompt_tokens=900)
    assert decide(queue, capacity(48), POLICY, 1).started == [quiet]
    queue.prefilled(flood[0])
    queue.prefilled(quiet)
    assert decide(queue, capacity(48), POLICY, 2).started == [flood[2]]


def test_a_prompt_larger_than_every_budget_runs_alone_and_is_not_overtaken_for_ever() -> None:
    queue = FairQueue()
    (small,) = pushed(queue, "small")
    assert decide(queue, capacity(48), POLICY, 0).started == [small]
    (huge,) = pushed(queue, "huge", prompt_tokens=100_000)
    queue.shares["huge"].counter = -1
    assert not decide(queue, capacity(48), POLICY, 0).started
    (early,) = pushed(queue, "small")
    assert decide(queue, capacity(48), POLICY, 1).started == [early]
    pushed(queue, "small")
    assert not decide(queue, capacity(48), POLICY, 2 * SECOND_NS).started
    queue.prefilled(small)
    queue.prefilled(early)
    assert decide(queue, capacity(48), POLICY, 2 * SECOND_NS).started == [huge]


def test_suspects_prefill_one_at_a_time() -> None:
    queue = FairQueue()
    first, second = pushed(queue, "w", 2, suspect=True)
    assert decide(queue, capacity(8), POLICY, 0).started == [first]
    queue.prefilled(first)
    assert decide(queue, capacity(8), POLICY, 1).started == [second]


def full_house(queue: FairQueue, slots: int) -> list[Ticket]:
    """Flooders on all seats, the reserve included, each served more than a newcomer."""
    flood = pushed(queue, "flooder", slots, prompt_tokens=1)
    decide(queue, capacity(slots), POLICY, 0)
    others = [pushed(queue, f"other{number}", prompt_tokens=1)[0] for number in range(reserved_seats(slots))]
    decide(queue, capacity(slots), POLICY, 0)
    for each in [*flood, *others]:
        if each.state is RUNNING:
            queue.charge(each, 1000)
            queue.prefilled(each)
    return flood


def test_after_a_second_the_newest_of_the_most_served_is_paused_and_comes_back() -> None:
    queue = FairQueue()
    flood = full_house(queue, 16)
    newest = next(each for each in reversed(flood) if each.state is RUNNING)
    arrival_ns = 6 * SECOND_NS
    (quiet,) = pushed(queue, "quiet", now_ns=arrival_ns)
    queue.shares["quiet"].counter = 0
    early = decide(queue, capacity(16), POLICY, arrival_ns)
    assert not early.paused and early.wake_ns == arrival_ns + SECOND_NS
    due = decide(queue, capacity(16), POLICY, arrival_ns + SECOND_NS)
    assert due.started == [quiet] and [each.workspace for each in due.paused] == ["flooder"]
    (paused,) = due.paused
    assert paused is newest and paused.since_ns == arrival_ns + SECOND_NS
    queue.leave(quiet, arrival_ns + 2 * SECOND_NS)
    for each in flood[:3]:
        queue.leave(each, arrival_ns + 2 * SECOND_NS)
    assert paused in decide(queue, capacity(16), POLICY, arrival_ns + 2 * SECOND_NS).resumed


def test_a_request_keeps_its_seat_for_its_quantum_and_unpausable_servers_are_left_alone() -> None:
    queue = FairQueue()
    full_house(queue, 16)
    pushed(queue, "quiet", now_ns=SECOND_NS, give_up_ns=60 * SECOND_NS)
    queue.shares["quiet"].counter = 0
    waiting = decide(queue, capacity(16), POLICY, 2 * SECOND_NS)
    assert not waiting.paused and waiting.wake_ns == 5 * SECOND_NS
    assert not decide(queue, capacity(16, can_pause=False), POLICY, 9 * SECOND_NS).paused
    assert len(decide(queue, capacity(16), POLICY, 9 * SECOND_NS).paused) == 1


def test_several_seats_are_freed_at_once_or_none_at_all() -> None:
    queue = FairQueue()
    full_house(queue, 16)
    (wide,) = pushed(queue, "quiet", now_ns=0, seats=4)
    queue.shares["quiet"].counter = 0
    done = decide(queue, capacity(16), POLICY, 9 * SECOND_NS)
    assert done.started == [wide] and len(done.paused) == 4 and queue.seats == 16
    (wider,) = pushed(queue, "wider", now_ns=0, seats=14)
    queue.shares["wider"].counter = 0
    assert wider not in decide(queue, capacity(16), POLICY, 9 * SECOND_NS).started


class Simulation:
    """Workspaces with endless demand on a server that gives every running request a token a step."""

    def __init__(self, slots: int, weights: dict[str, int], seed: int, can_pause: bool) -> None:
        self.capacity = capacity(slots, can_pause)
        self.weights = weights
        self.random = random.Random(seed)
        self.queue = FairQueue()
        self.left: dict[str, int] = {}
        self.running: list[Ticket] = []
        self.prefilling: list[Ticket] = []
        self.work = dict.fromkeys(weights, 0)
        self.wait_ns = 0
        self.now_ns = 0
        self.longest_prompt = 200
        self.longest_answer = 150

    def step(self) -> int:
        """Keep every line filled, dispatch, serve one token each; returns how many made progress."""
        self.now_ns += SECOND_NS // 50
        for workspace, weight in self.weights.items():
            share = self.queue.shares.get(workspace)
            for _ in range(4 - (share.waiting if share else 0)):
                length = self.random.randint(1, self.longest_prompt)
                (one,) = pushed(
                    self.queue, workspace, now_ns=self.now_ns, prompt_tokens=length, weight=weight, give_up_ns=1 << 62
                )
                self.left[one.id] = self.random.randint(1, self.longest_answer)
        decisions = decide(self.queue, self.capacity, POLICY, self.now_ns)
        for one in decisions.started:
            self.wait_ns = max(self.wait_ns, self.now_ns - one.arrived_ns)
            self.work[one.workspace] += one.prompt_tokens * PROMPT_WORK
        assert self.queue.seats <= self.capacity.slots
        served = [each for share in self.queue.shares.values() for each in share.running.values()]
        for one in served:
            self.queue.prefilled(one)
            self.queue.charge(one, TOKEN_WORK)
            self.work[one.workspace] += TOKEN_WORK
            self.left[one.id] -= 1
            if not self.left[one.id]:
                self.queue.leave(one, self.now_ns)
                del self.left[one.id]
        return len(served)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 12),
    st.lists(st.integers(1, 4), min_size=2, max_size=4),
    st.integers(0, 10**6),
    st.booleans(),
)
def test_backlogged_workspaces_are_served_by_weight_within_the_bound(
    slots: int, weights: list[int], seed: int, can_pause: bool
) -> None:
    simulation = Simulation(slots, {f"w{number}": weight for number, weight in enumerate(weights)}, seed, can_pause)
    cache_tokens = slots * (simulation.longest_prompt + simulation.longest_answer)
    bound = 2 * max(PROMPT_WORK * simulation.longest_prompt, TOKEN_WORK * cache_tokens)
    for _ in range(600):
        assert simulation.step() > 0
        fair = [simulation.work[name] / weight for name, weight in simulation.weights.items()]
        assert max(fair) - min(fair) <= bound
    assert all(work > 0 for work in simulation.work.values())
    counters = {name: share.counter // SCALE for name, share in simulation.queue.shares.items()}
    for name, weight in simulation.weights.items():
        assert abs(counters[name] - simulation.work[name] // weight) <= bound + len(simulation.work)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 10**6)), max_size=80), st.integers(0, 6), st.booleans())
def test_nobody_is_lost_and_nobody_waits_while_there_is_room(
    moves: list[tuple[int, int]], slots: int, can_pause: bool
) -> None:
    queue, everyone, now_ns = FairQueue(), list[Ticket](), 0
    for move, pick in moves:
        now_ns += pick * 10_000
        running = [each for each in everyone if each.state is RUNNING]
        if move <= 1:
            seats = seats_of(1 + pick % 3, slots)
            fields = {"give_up_ns": now_ns + 10**10, "seats": seats, "prompt_tokens": 1 + pick % 3000}
            everyone += pushed(queue, f"w{pick % 4}", now_ns=now_ns, **fields)
        elif running and move == 2:
            queue.leave(running[pick % len(running)], now_ns)
        elif running and move == 3:
            queue.prefilled(running[pick % len(running)])
        before = {each.id: each.state for each in everyone}
        decisions = decide(queue, capacity(slots, can_pause), POLICY, now_ns)
        assert queue.seats <= slots
        assert all(each.give_up_ns > now_ns for each in queue.tickets())
        assert {each.id for each in decisions.expired} <= {name for name, s in before.items() if s == "waiting"}
        for each in decisions.started:
            assert before[each.id] == "waiting" and each.state is not GONE
        if slots and queue.anyone_wants and not queue.seats:
            raise AssertionError("somebody waits for an idle server")
        if queue.waiting:
            assert decisions.wake_ns is not None and decisions.wake_ns > now_ns
    waiting = sum(each.state is TicketState.WAITING for each in everyone)
    assert waiting == queue.waiting
