"""The line's order: turns of keys, fairness of workspaces, the lift on return, and counts that always add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.tickets import ticket

from tramontane.engine import queue as queues
from tramontane.engine.queue import MOVES, SCALE, FairQueue, Ticket, TicketState


def order_of(queue: FairQueue) -> list[Ticket]:
    """Start everyone, one at a time, in the order of turns."""
    started = []
    while queue.waiting:
        head = queue.by_turn()[0].head
        queue.start(head, 0)
        started.append(head)
    return started


def test_keys_take_turns_and_each_is_served_in_order_of_arrival() -> None:
    queue = FairQueue()
    tickets = [ticket(key=key, arrived_ns=at) for at, key in enumerate("aaabbc")]
    for each in tickets:
        queue.push(each, each.arrived_ns)
    assert [(each.key, each.arrived_ns) for each in order_of(queue)] == [
        ("a", 0),
        ("b", 3),
        ("c", 5),
        ("a", 1),
        ("b", 4),
        ("a", 2),
    ]


def test_a_returning_workspace_is_lifted_and_gains_nothing_from_having_been_idle() -> None:
    queue = FairQueue()
    for _ in range(50):
        queue.push(ticket("busy"), 0)
    for _ in range(40):
        queue.start(queue.by_turn()[0].head, 0)
    returning = [ticket("idle") for _ in range(10)]
    for each in returning:
        queue.push(each, 0)
    served = [each.workspace for each in order_of(queue)]
    assert served[:4].count("idle") == 2 and served.count("busy") == 10


def test_when_nobody_waits_a_newcomer_starts_where_the_last_one_left() -> None:
    queue = FairQueue()
    first = ticket("a", prompt_tokens=100)
    queue.push(first, 0)
    queue.start(first, 0)
    queue.push(ticket("b"), 0)
    assert queue.shares["b"].counter == queue.shares["a"].counter == 100 * SCALE


def test_a_workspace_of_twice_the_weight_is_served_twice_as_much() -> None:
    queue = FairQueue()
    for _ in range(60):
        queue.push(ticket("heavy", weight=2), 0)
        queue.push(ticket("light"), 0)
    served = [each.workspace for each in order_of(queue)][:60]
    assert abs(served.count("heavy") - 40) <= 1


def test_moves_outside_the_table_are_refused() -> None:
    queue, one = FairQueue(), ticket()
    queue.push(one, 0)
    with pytest.raises(ValueError, match="cannot go from waiting to paused"):
        one.move(TicketState.PAUSED, 0)
    assert set(MOVES) == set(TicketState)


def test_leaving_twice_or_before_joining_does_nothing() -> None:
    queue, one = FairQueue(), ticket()
    queue.leave(one, 0)
    queue.leave(one, 0)
    assert one.state is TicketState.GONE and not queue.anyone_wants


def test_forgotten_workspaces_had_no_debt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "MAX_IDLE_SHARES", 3)
    queue = FairQueue()
    for name, prompt_tokens in (("debtor", 500), ("small", 1), ("last", 50)):
        one = ticket(name, prompt_tokens=prompt_tokens)
        queue.shares.setdefault(name, queues.Share(name))
        queue.push(one, 0)
        queue.start(one, 0)
        queue.leave(one, 0)
    queue.shares["small"].counter = 0
    queue.push(ticket("new"), 0)
    assert "small" not in queue.shares and queue.level() == queue.shares["new"].counter
    assert all(share.counter > 0 for share in queue.shares.values())


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10**6)), max_size=120))
def test_counts_add_up_after_any_moves(moves: list[tuple[int, int]]) -> None:
    queue, tickets = FairQueue(), list[Ticket]()
    for move, pick in moves:
        chosen = tickets[pick % len(tickets)] if tickets else None
        if move == 0 or chosen is None:
            tickets.append(ticket(f"w{pick % 3}", key=f"k{pick % 2}", seats=1 + pick % 3, suspect=pick % 5 == 0))
            queue.push(tickets[-1], pick)
        elif move == 1 and chosen.state in (TicketState.WAITING, TicketState.PAUSED):
            queue.start(chosen, pick)
        elif move == 2 and chosen.state is TicketState.RUNNING:
            queue.pause(chosen, pick)
        elif move == 3:
            queue.leave(chosen, pick)
        elif move == 4:
            queue.prefilled(chosen)
        elif move == 5:
            queue.charge(chosen, pick % 100)
        check(queue, tickets)
    for each in tickets:
        queue.leave(each, 0)
    assert (queue.waiting, queue.paused, queue.seats, queue.prefill_tokens, queue.suspects_in_prefill) == (0,) * 5
    assert not any(s.lines or s.running or s.paused or s.waiting_work or s.seats for s in queue.shares.values())


def check(queue: FairQueue, tickets: list[Ticket]) -> None:
    by_state = {state: [each for each in tickets if each.state is state] for state in TicketState}
    assert sorted(each.id for each in queue.tickets()) == sorted(each.id for each in by_state[TicketState.WAITING])
    assert queue.waiting == len(by_state[TicketState.WAITING])
    assert queue.waiting_prompt_tokens == sum(each.prompt_tokens for each in by_state[TicketState.WAITING])
    assert queue.paused == len(by_state[TicketState.PAUSED])
    assert queue.seats == sum(each.seats for each in by_state[TicketState.RUNNING])
    prefilling = [each for each in tickets if each.in_prefill]
    assert queue.prefill_tokens == sum(each.prompt_tokens for each in prefilling)
    assert queue.suspects_in_prefill == sum(each.suspect for each in prefilling)
    assert all(share.head.state in (TicketState.WAITING, TicketState.PAUSED) for share in queue.by_turn())
