"""A hang is work without progress for longer than both patience and five slowest steps; nothing else is."""

from hypothesis import given
from hypothesis import strategies as st

from tramontane.adapters.servers.processes.watch import SLOWEST_STEPS, ProgressWatch

PATIENCE_NS = 1000
moves = st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(moves, st.integers(0, 600))
def test_hangs_exactly_when_work_stood_still_for_too_long(
    moves: list[tuple[int, bool, bool]], slowest_step_ns: int
) -> None:
    watch = ProgressWatch(PATIENCE_NS, slowest_step_ns=slowest_step_ns)
    now_ns = progress = still_ns = 0
    for waited_ns, has_work, moved in moves:
        now_ns += waited_ns
        progress += moved
        still_ns = 0 if moved or not has_work else still_ns + waited_ns
        watch.observe(progress, has_work=has_work, now_ns=now_ns)
        assert watch.hangs(now_ns) == (still_ns > max(PATIENCE_NS, SLOWEST_STEPS * slowest_step_ns))


def test_standing_still_without_being_looked_at_counts_too() -> None:
    watch = ProgressWatch(PATIENCE_NS)
    watch.observe(1, has_work=True, now_ns=10)
    assert not watch.hangs(10 + PATIENCE_NS)
    assert watch.hangs(11 + PATIENCE_NS)
