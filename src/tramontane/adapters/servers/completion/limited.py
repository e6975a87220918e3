"""A child process for work that somebody else's data decides: killed when it takes too long, capped in memory.

Knows frames, limits and restarts; knows nothing of the work. Templates and grammars run in one each. `LimitedProcess` is
the parent's side, `serve` the child's. One call at a time; the child that overstepped is replaced for the next.
"""

import contextlib
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

_START_LIMIT_S = 30.0
_LENGTH = struct.Struct("<I")
Work = Callable[[dict[str, Any]], dict[str, Any]]


class LimitReached(Exception):
    """The work took too long or died of its memory limit; the message says which, without a name for the work."""


class LimitedProcess:
    """Runs one worker module as a child. Thread-safe; started in the background by `start`, or by the first call."""

    def __init__(self, module: str, setup: Mapping[str, Any], *, time_limit_s: float, memory_bytes: int) -> None:
        """`setup` goes to the child once, before its limits; `memory_bytes` is what work may take on top of that."""
        self._command = [sys.executable, "-m", module]
        self._setup = msgspec.msgpack.encode({**setup, "memory_bytes": memory_bytes, "alarm_s": 3 * time_limit_s})
        self._time_limit_s = time_limit_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._ready = False

    def start(self) -> None:
        """Begin starting the child without waiting for it."""
        with self._lock:
            if self._child is None:
                self._spawn()

    def call(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The worker's answer. Raises LimitReached when there is none in time."""
        with self._lock:
            try:
                return self._call(msgspec.msgpack.encode(request))
            except TimeoutError as error:
                self._replace()
                raise LimitReached(f"it took longer than {self._time_limit_s:g} s") from error
            except (OSError, EOFError) as error:
                self._replace()
                raise LimitReached("it ended the process, most likely by asking for too much memory") from error

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._kill()

    def _call(self, frame: bytes) -> dict[str, Any]:
        if self._child is None:
            self._spawn()
        assert self._child is not None
        if not self._ready:
            self._receive(self._child, time.monotonic() + _START_LIMIT_S)
            self._ready = True
        limit = time.monotonic() + self._time_limit_s
        self._send(self._child, frame, limit)
        answer: dict[str, Any] = msgspec.msgpack.decode(self._receive(self._child, limit))
        return answer

    def _spawn(self) -> None:
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, bufsize=0)
        self._ready = False
        threading.Thread(target=self._introduce, args=(self._child,), daemon=True).start()

    def _introduce(self, child: subprocess.Popen[bytes]) -> None:
        """Send the set-up from a thread of its own: it may be larger than a pipe, and the child still imports."""
        assert child.stdin is not None
        with contextlib.suppress(OSError):
            _write_all(child.stdin.fileno(), _LENGTH.pack(len(self._setup)) + self._setup)

    def _replace(self) -> None:
        """Have the next child start while nobody waits for it yet."""
        self._kill()
        self._spawn()

    def _kill(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    @staticmethod
    def _send(child: subprocess.Popen[bytes], frame: bytes, limit: float) -> None:
        assert child.stdin is not None
        descriptor = child.stdin.fileno()
        view = memoryview(_LENGTH.pack(len(frame)) + frame)
        while view:
            if not select.select([], [descriptor], [], max(0.0, limit - time.monotonic()))[1]:
                raise TimeoutError
            view = view[os.write(descriptor, view[: select.PIPE_BUF]) :]

    @classmethod
    def _receive(cls, child: subprocess.Popen[bytes], limit: float) -> bytes:
        assert child.stdout is not None
        descriptor = child.stdout.fileno()
        size = _LENGTH.unpack(cls._read(descriptor, _LENGTH.size, limit))[0]
        return cls._read(descriptor, size, limit)

    @staticmethod
    def _read(descriptor: int, size: int, limit: float) -> bytes:
        pieces: list[bytes] = []
        while size:
            if not select.select([descriptor], [], [], max(0.0, limit - time.monotonic()))[0]:
                raise TimeoutError
            piece = os.read(descriptor, min(size, 1 << 20))
            if not piece:
                raise EOFError
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def serve(prepare: Callable[[dict[str, Any]], Work]) -> None:
    """The child's life: read the set-up, take on the limits, answer until the parent goes away."""
    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)  # stray prints of a library must not reach the parent as frames
    setup = msgspec.msgpack.decode(_read_frame(source))
    work = prepare(setup)
    _limit_memory(int(setup["memory_bytes"]))
    _write_frame(sink, b"")
    while frame := _read_frame(source):
        # An orphan in an endless loop ends itself: SIGALRM's default action kills.
        signal.setitimer(signal.ITIMER_REAL, float(setup["alarm_s"]))
        try:
            answer = work(msgspec.msgpack.decode(frame))
        except MemoryError:
            os._exit(1)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _write_frame(sink, msgspec.msgpack.encode(answer))


def _limit_memory(extra_bytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    in_use = pages * os.sysconf("SC_PAGE_SIZE")
    if in_use:
        resource.setrlimit(resource.RLIMIT_AS, (in_use + extra_bytes, in_use + extra_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read_frame(descriptor: int) -> bytes:
    """One frame; empty at the end of the stream."""
    head = _read_some(descriptor, _LENGTH.size)
    return _read_some(descriptor, _LENGTH.unpack(head)[0]) if head else b""


def _read_some(descriptor: int, size: int) -> bytes:
    pieces: list[bytes] = []
    while size:
        piece = os.read(descriptor, min(size, 1 << 20))
        if not piece:
            return b""
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _write_frame(descriptor: int, frame: bytes) -> None:
    _write_all(descriptor, _LENGTH.pack(len(frame)) + frame)


def _write_all(descriptor: int, raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(descriptor, view) :]
