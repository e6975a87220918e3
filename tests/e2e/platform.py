"""Starts the real server as a person would, waits for it, and ends it; nothing is faked on this side."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.waiting import wait_until

COMMAND = str(Path(sys.executable).with_name("tramontane"))
READY_S = 180


@dataclass
class Platform:
    """A running server: its address, a key, its process and the data folder it works on."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    key: str = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def engine(self, model: str) -> psutil.Process:
        """The process that holds the model's weights, found by its title as `ps` shows it."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if child.is_running() and f"tramontane: engine {model}" in " ".join(child.cmdline()):
                return child
        raise LookupError(f"no engine process of {model}")

    def interrupt(self) -> int:
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(home: Path, *arguments: str, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """One command to its end, with its output."""
    environment = {**os.environ, "TRAMONTANE_HOME": str(home), **variables}
    return subprocess.run(
        [COMMAND, *arguments], env=environment, capture_output=True, text=True, input=stdin, timeout=600, check=False
    )  # fmt: skip


def start(home: Path, port: int | None = None, **variables: str) -> Platform:
    """Start the server and return at once."""
    chosen = port or free_port()
    log = home.parent / f"serve-{chosen}-{time.monotonic_ns()}.log"
    environment = {**os.environ, "TRAMONTANE_HOME": str(home), "TRAMONTANE_PORT": str(chosen), **variables}
    with log.open("wb") as output:
        process = subprocess.Popen([COMMAND, "serve"], stdout=output, stderr=subprocess.STDOUT, env=environment)
    return Platform(home, chosen, process, log)


def wait_until_said(platform: Platform, words: str) -> None:
    """Return once the server has said it; fails with what it said instead."""

    def said() -> bool:
        assert platform.process.poll() is None or words in platform.said, platform.said
        return words in platform.said

    wait_until(said, lambda: platform.said, READY_S)


def wait_until_loaded(platform: Platform) -> None:
    """Return once the default model is loaded; fails with what the server said otherwise."""
    wait_until_said(platform, "is loaded")
    found = re.search(r"tm_\w+_[\w-]{43}", platform.said)
    platform.key = found[0] if found else run(platform.home, "key", "create", f"k{time.time_ns()}").stdout.strip()


@contextmanager
def serving(home: Path, **variables: str) -> Iterator[Platform]:
    """A loaded server, ended on the way out."""
    platform = start(home, **variables)
    try:
        wait_until_loaded(platform)
        yield platform
    finally:
        if platform.process.poll() is None:
            platform.process.send_signal(signal.SIGTERM)
            try:
                platform.process.wait(30)
            except subprocess.TimeoutExpired:
                platform.process.kill()
