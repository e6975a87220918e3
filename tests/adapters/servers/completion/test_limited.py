"""A child that oversteps is replaced, and the next call is served."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.waiting import wait_until

from tramontane.adapters.servers.completion.limited import LimitedProcess, LimitReached

_WORKER = "tests.fakes.overstepping_worker"


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[LimitedProcess]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    limited = LimitedProcess(_WORKER, {"factor": 3}, time_limit_s=2.0, memory_bytes=64 << 20)
    yield limited
    limited.close()


def test_answers(process: LimitedProcess) -> None:
    process.start()
    assert [process.call({"do": "multiply", "value": value}) for value in (1, 2)] == [{"value": 3}, {"value": 6}]


def test_large_frames(process: LimitedProcess) -> None:
    assert process.call({"do": "length", "value": "x" * 3_000_000}) == {"value": 3_000_000}


@pytest.mark.parametrize(("deed", "words"), [("sleep", "longer than"), ("grow", "memory"), ("die", "memory")])
def test_overstepping_ends_the_call_only(process: LimitedProcess, deed: str, words: str) -> None:
    with pytest.raises(LimitReached, match=words):
        process.call({"do": deed})
    assert process.call({"do": "multiply", "value": 5}) == {"value": 15}


def test_prints_do_not_disturb_the_frames(process: LimitedProcess) -> None:
    assert process.call({"do": "print"}) == {"value": "printed"}


def test_calls_from_many_threads(process: LimitedProcess) -> None:
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(process.call({"do": "multiply", "value": n})["value"]))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [3 * n for n in range(16)]


def test_close_ends_the_child(process: LimitedProcess) -> None:
    process.call({"do": "multiply", "value": 1})
    child = process._child
    assert child is not None
    process.close()
    wait_until(lambda: child.poll() is not None)
