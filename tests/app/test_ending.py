"""A signal during the first fetch ends the whole of us: the fetching process too, and nothing half-fetched stays."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.waiting import PATIENCE_S

COMMAND = str(Path(sys.executable).with_name("tramontane"))


@pytest.fixture
def silent_index() -> Iterator[socket.socket]:
    """A package index that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("arguments", [("serve",), ("complete", "Hello"), ("models", "pull", "all-minilm-l6-v2")])
def test_the_fetching_process_goes_with_us(
    arguments: tuple[str, ...], number: signal.Signals, silent_index: socket.socket, home: Path
) -> None:
    index = f"http://127.0.0.1:{silent_index.getsockname()[1]}/simple"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    variables = {**kept, "PIP_INDEX_URL": index, "PIP_CONFIG_FILE": os.devnull, "TRAMONTANE_PORT": "0"}
    # A test run under nohup or in a background shell hands an ignored signal on to its children.
    process = subprocess.Popen(
        [COMMAND, *arguments], env=variables, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )  # fmt: skip
    try:
        connection, _ = silent_index.accept()
        fetching = psutil.Process(process.pid).children(recursive=True)
        assert any("pip" in " ".join(child.cmdline()) for child in fetching)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
        connection.close()
    finally:
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(fetching, timeout=PATIENCE_S)
    assert alive == []
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert "Traceback" not in said
    assert [path for path in (home / "cache").rglob("*") if path.is_file()] == []
    assert not list((home / "cache" / "wheels").glob(".*.part"))
