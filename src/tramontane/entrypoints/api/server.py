"""Runs the doors on a socket until told to stop, then lets open requests end. Called by the composition root.

Knows uvicorn and the drain; signals and what stands behind the doors are the caller's.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from tramontane.entrypoints.api.application import build_app
from tramontane.entrypoints.api.closed import Closed
from tramontane.entrypoints.api.connection import bounded_connection
from tramontane.entrypoints.api.ports import Doors
from tramontane.foundation.errors import Overloaded
from tramontane.foundation.listening import bound, refused
from tramontane.foundation.settings import HttpSettings

BACKLOG = 2048
KEEP_ALIVE_S = 75
LAST_MOMENT_S = 2
LAST_ASKED_S = 0.2


class _Server(uvicorn.Server):
    """Leaves the process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises Misconfigured naming the cure."""
    listener = bound(host, port)
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise refused(host, port, error) from None
    return listener


async def serve(doors: Doors, listener: socket.socket, stop: asyncio.Event) -> bool:
    """Answer until `stop` is set, then refuse new work and let the open requests end within `http.drain_s`.

    True when all of them did; the others are cut. The listener is closed at the end.
    """
    ended = True

    async def drain() -> None:
        nonlocal ended
        doors.drain.begin()
        ended = await doors.drain.wait(doors.settings.drain_s)

    await _run(build_app(doors), doors.settings, listener, stop, drain)
    return ended


async def turn_away(refusal: Overloaded, settings: HttpSettings, listener: socket.socket, stop: asyncio.Event) -> None:
    """Refuse every request with `refusal` until `stop` is set. The listener is closed at the end."""
    await _run(Closed(refusal), settings, listener, stop, _at_once)


async def _run(
    app: ASGIApp,
    settings: HttpSettings,
    listener: socket.socket,
    stop: asyncio.Event,
    drain: Callable[[], Awaitable[None]],
) -> None:
    config = uvicorn.Config(
        app,
        loop="none",
        http=bounded_connection(settings),
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
        await drain()
        # Who was let in but has not asked yet is answered still; who comes now waits in the listener's line.
        for listening in getattr(server, "servers", ()):
            listening.close()
        await asyncio.sleep(LAST_ASKED_S)
        server.should_exit = True
        await running
    finally:
        stopped.cancel()
        listener.close()


async def _at_once() -> None:
    """Nothing is open that would be worth waiting for."""
