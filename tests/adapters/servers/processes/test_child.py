"""A child ends by itself when it is left the time, and is killed when it is not."""

import signal
from pathlib import Path

import pytest

from tramontane.adapters.servers.processes.child import Child, ChildCommand, log_of, start_child

UNTIL_WE_HANG_UP = "import socket, sys; sys.exit(len(socket.socket(fileno=int(sys.argv[1])).recv(9)) + 7)"
FOR_EVER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"


def started(folder: Path, program: str) -> Child:
    return start_child(ChildCommand(arguments=("-c", program, "{fd}"), log_path=log_of(folder, "house/model")))


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_child_told_to_stop_is_left_the_time_and_gives_its_status(tmp_path: Path) -> None:
    child = started(tmp_path, UNTIL_WE_HANG_UP)
    child.socket.close()
    assert await child.end(60.0) == 7
    assert await child.end(60.0) == 7 and await child.wait() == 7


async def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    child = started(tmp_path, FOR_EVER)
    assert await child.end(0.1) == -signal.SIGKILL
    child.socket.close()


async def test_the_log_of_the_run_before_is_kept_and_its_tail_is_clean(tmp_path: Path) -> None:
    for word in ("first", "second"):
        child = started(tmp_path, f"print('{word}\\x1b[31m')")
        assert await child.end(60.0) == 0
        child.socket.close()
    assert child.log_tail() == "second[31m"
    assert names_in(tmp_path) == {"engine-house-model.log", "engine-house-model.previous.log"}


async def test_a_child_knows_none_of_the_gateways_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAMONTANE_DATABASE_URL", "a secret")
    child = started(tmp_path, "import os; print(*sorted(os.environ), sep='\\n')")
    assert await child.end(60.0) == 0
    child.socket.close()
    names = child.log_tail().split()
    assert "PYTHONPATH" in names and not [name for name in names if name.startswith("TRAMONTANE")]
