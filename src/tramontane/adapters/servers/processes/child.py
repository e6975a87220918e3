"""One child process with a socket to it: started with an almost empty environment, watched for death, ended for sure.

Knows processes, logs and sockets; knows no protocol and no model. Whoever starts a server process stands on it: the
embedded engine's supervisor and the starter of llama.cpp servers.
"""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tramontane

LOG_TAIL_BYTES = 1500
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "CUDA_VISIBLE_DEVICES")
_POLL_S = 0.05
_CONTROL = re.compile(r"[^\n\t\x20-\x7e\u00a0-\uffff]+")


@dataclass(frozen=True, kw_only=True)
class ChildCommand:
    """What to run: `arguments` follow the interpreter's, `{fd}` among them becomes the number of the child's socket."""

    arguments: Sequence[str]
    log_path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A running child and our end of its socket. The child sees the other end close when we are gone."""

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket, log_path: Path) -> None:
        self.socket = sock
        self.log_path = log_path
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """The exit status, negative for a signal; returns within milliseconds of the death where the system has pidfds."""
        # Once it is known to be gone its number may be another process's.
        if self._process.poll() is None and hasattr(os, "pidfd_open"):
            with contextlib.suppress(ProcessLookupError):
                await _readable(os.pidfd_open(self.pid))
        while (status := self._process.poll()) is None:  # noqa: ASYNC110  # there is nothing else to wait for
            await asyncio.sleep(_POLL_S)
        return status

    async def end(self, within_s: float) -> int:
        """Let it end by itself for so long, then kill it; the exit status once it is gone."""
        try:
            async with asyncio.timeout(within_s):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()

    def kill(self) -> None:
        """End it now; nothing happens when it is over already."""
        self._process.kill()

    def log_tail(self) -> str:
        """The last lines of what it wrote, without control characters."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, self.log_path.stat().st_size - LOG_TAIL_BYTES))
                text = log.read(LOG_TAIL_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""
        return _CONTROL.sub("", text).strip()


def log_of(folder: Path, model: str) -> Path:
    """Where the process that holds a model writes what it says."""
    return folder / f"engine-{model.replace('/', '-')}.log"


def start_child(command: ChildCommand) -> Child:
    """Start it; its output goes to the log, the log of the run before is kept beside it. Raises OSError."""
    command.log_path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        command.log_path.replace(command.log_path.with_suffix(".previous.log"))
    ours, theirs = socket.socketpair()
    try:
        log = os.open(command.log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", *(part.replace("{fd}", str(theirs.fileno())) for part in command.arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=bare_environment(command.environment),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        finally:
            os.close(log)
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    return Child(process, ours, command.log_path)


def bare_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """What a process of ours needs and no more: no key, no address, no setting of the gateway's."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    package_root = Path(tramontane.__file__).resolve().parents[1]
    return {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(package_root), **kept, **extra}


async def _readable(descriptor: int) -> None:
    """Wait until the descriptor is readable, then close it."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(descriptor, settle)
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
