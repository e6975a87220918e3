"""Life cycle, crash loops, poison requests, who makes room, and the budget of retries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tramontane.engine import replicas
from tramontane.engine.nouns import SECOND_NS
from tramontane.engine.placement import Resident, idle_too_long, to_unload_for
from tramontane.engine.replicas import MOVES, POISON_NS, Deaths, ReplicaState, Suspects, moved
from tramontane.engine.retries import RetryBudget


def test_the_table_knows_every_state_and_refuses_the_rest() -> None:
    assert set(MOVES) == set(ReplicaState)
    assert moved("m", ReplicaState.ABSENT, ReplicaState.LOADING) is ReplicaState.LOADING
    with pytest.raises(ValueError, match="m cannot go from absent to ready"):
        moved("m", ReplicaState.ABSENT, ReplicaState.READY)


def test_five_deaths_in_a_minute_quarantine_with_growing_back_off() -> None:
    deaths = Deaths()
    assert [deaths.note(second * SECOND_NS) for second in range(5)] == [False] * 4 + [True]
    now_s, waits = 4, [deaths.wait_s(4 * SECOND_NS)]
    for _ in range(7):
        now_s += int(waits[-1])
        if len(deaths.times_ns) >= 4:
            deaths.note(now_s * SECOND_NS)
        while deaths.wait_s(now_s * SECOND_NS) == 0:
            deaths.note(now_s * SECOND_NS)
        waits.append(deaths.wait_s(now_s * SECOND_NS))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_deaths_far_apart_are_forgiven() -> None:
    deaths = Deaths()
    assert not any(deaths.note(number * 16 * SECOND_NS) for number in range(40))
    for number in range(5):
        deaths.note(1000 * SECOND_NS + number)
    assert deaths.wait_s(1000 * SECOND_NS) > 0 and deaths.recent(1000 * SECOND_NS) == 5
    assert deaths.recent(1100 * SECOND_NS) == 0 and deaths.quarantines == 0


def test_a_request_present_at_two_deaths_is_refused_for_an_hour() -> None:
    suspects = Suspects()
    assert suspects.present_at_death(b"x", 0) == 1
    assert suspects.known(b"x", 1) and not suspects.refused(b"x", 1)
    assert suspects.present_at_death(b"x", SECOND_NS) == 2
    assert suspects.refused(b"x", POISON_NS) and not suspects.refused(b"x", POISON_NS + 2 * SECOND_NS)
    assert suspects.present_at_death(b"x", 3 * POISON_NS) == 1
    suspects.cleared(b"x")
    assert not suspects.known(b"x", 3 * POISON_NS) and len(suspects) == 0


def test_the_table_of_suspects_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "MAX_FINGERPRINTS", 3)
    suspects = Suspects()
    for number in range(9):
        suspects.present_at_death(bytes([number]), number)
    assert len(suspects) == 3 and suspects.known(b"\x08", 9)


RESIDENTS = st.lists(
    st.builds(
        Resident,
        model=st.uuids().map(str),
        size_bytes=st.integers(0, 100),
        held_by=st.integers(0, 2),
        last_used_ns=st.integers(0, 100),
        idle_unload_s=st.integers(0, 2),
    ),
    max_size=6,
)


@given(st.integers(0, 200), st.integers(0, 300), RESIDENTS)
def test_idle_models_make_room_oldest_first_and_one_with_work_never(
    needed: int, limit: int, residents: list[Resident]
) -> None:
    chosen = to_unload_for(needed, limit, residents)
    idle = [resident for resident in residents if not resident.held_by]
    if chosen is None:
        assert sum(each.size_bytes for each in residents if each.held_by) + needed > limit > 0
        return
    assert all(not each.held_by for each in chosen)
    stay = [each for each in residents if each not in chosen]
    assert not limit or sum(each.size_bytes for each in stay) + needed <= limit
    assert [each.last_used_ns for each in chosen] == sorted(each.last_used_ns for each in idle)[: len(chosen)]
    if chosen:
        assert sum(each.size_bytes for each in stay) + needed + chosen[-1].size_bytes > limit


def test_idle_models_go_after_their_own_time() -> None:
    def resident(**fields: int) -> Resident:
        return Resident(**{"model": "m", "size_bytes": 1, "held_by": 0, "last_used_ns": 0, "idle_unload_s": 5} | fields)  # type: ignore[arg-type]

    gone, kept = resident(), [resident(held_by=1), resident(idle_unload_s=0), resident(last_used_ns=SECOND_NS)]
    assert idle_too_long([gone, *kept], 5 * SECOND_NS) == [gone]


def test_retries_are_a_tenth_and_a_few() -> None:
    budget = RetryBudget()
    assert [budget.take(0) for _ in range(5)] == [True] * 4 + [False]
    for _ in range(20):
        budget.opened(SECOND_NS)
    assert [budget.take(SECOND_NS) for _ in range(3)] == [True, True, False]
    assert not budget.take(9 * SECOND_NS)
    assert budget.take(11 * SECOND_NS)
