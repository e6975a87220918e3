"""Runs the doors on a socket until told to stop, then lets open requests end. Called by the composition root.

Knows uvicorn and the drain; signals and what stands behind the doors are the caller's.
"""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from tramontane.entrypoints.api.application import build_app
from tramontane.entrypoints.api.connection import bounded_connection
from tramontane.entrypoints.api.ports import Doors
from tramontane.foundation.errors import Misconfigured

BACKLOG = 2048
KEEP_ALIVE_S = 75
LAST_MOMENT_S = 2


class _Server(uvicorn.Server):
    """Leaves the process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises Misconfigured naming the cure."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(kind, socket.SOCK_STREAM)
    except OSError as error:
        raise Misconfigured(f"cannot listen on {host}: {error.strerror}; set TRAMONTANE_HOST") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            cure = "stop what uses it or set TRAMONTANE_PORT to another"
            raise Misconfigured(f"port {port} of {host} is in use; {cure}") from None
        raise Misconfigured(f"cannot listen on {host}:{port}: {error.strerror}; set TRAMONTANE_PORT") from None
    return listener


async def serve(doors: Doors, listener: socket.socket, stop: asyncio.Event) -> bool:
    """Answer until `stop` is set, then refuse new work and let the open requests end within `http.drain_s`.

    True when all of them did; the others are cut. The listener is closed at the end.
    """
    config = uvicorn.Config(
        build_app(doors),
        loop="none",
        http=bounded_connection(doors.settings.max_header_bytes),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=LAST_MOMENT_S,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        doors.drain.begin()
        ended = await doors.drain.wait(doors.settings.drain_s)
        server.should_exit = True
        await running
    finally:
        stopped.cancel()
        listener.close()
    return ended
