"""The gateway process: doors over the engine in one event loop, from the bound port to the last request's end."""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

import tramontane
from tramontane.app.directory import Directory
from tramontane.app.engine import opened_engine
from tramontane.app.records import Opened
from tramontane.engine.room import Engine
from tramontane.entrypoints.api import Doors, build_app
from tramontane.entrypoints.api.drain import Drain
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Misconfigured, TramontaneError
from tramontane.foundation.settings import Settings
from tramontane.records.access.callers import Callers

LOOK_S = 1.0
log = logging.getLogger(__name__)
Say = Callable[[str], None]


def bind(settings: Settings) -> socket.socket:
    """The listening socket, taken before anything slow. Raises Misconfigured when the address is not to be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        if error.errno == errno.EADDRINUSE:
            raise Misconfigured(
                f"{where} is in use by another program (or another Tramontane); choose another port, "
                "for example TRAMONTANE_PORT=8401"
            ) from None
        raise Misconfigured(f"{where} cannot be listened on: {error.strerror}; check TRAMONTANE_HOST") from None
    return listener


class Gateway(uvicorn.Server):
    """uvicorn with our own way of stopping: the first signal drains, the second ends at once, and both end with status 0."""

    def __init__(self, app: ASGIApp, settings: Settings, drain: Drain, say: Say) -> None:
        super().__init__(
            uvicorn.Config(
                app, loop="uvloop", http="httptools", ws="none", lifespan="off", access_log=False, server_header=False,
                log_level="warning", timeout_graceful_shutdown=settings.http.drain_s,
                h11_max_incomplete_event_size=settings.http.max_header_bytes,
            )
        )  # fmt: skip
        self._drain = drain
        self._say = say
        self._drain_s = settings.http.drain_s

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Refuse new requests and let open ones end; asked again, end at once."""
        if self.should_exit:
            self.force_exit = True
            return
        self._drain.begin()
        self.should_exit = True
        if self._drain.inside:
            self._say(
                f"Stopping: {self._drain.inside} open requests may end within {self._drain_s} s; Ctrl-C again stops at once."
            )


async def run_gateway(settings: Settings, clock: Clock, records: Opened, listener: socket.socket, say: Say) -> None:
    """Serve until stopped. Raises Misconfigured when the store has become unsafe to write to."""
    drain = Drain()
    async with opened_engine(settings, clock, records) as engine, _callers(records, clock) as callers:
        directory = Directory(records.catalogue)
        doors = Doors(
            engine=engine, authenticate=callers.caller_for, models=directory.cards, settings=settings.http,
            required=(settings.default_model, *settings.preload), bound_host=settings.host, clock=clock, drain=drain,
        )  # fmt: skip
        gateway = Gateway(build_app(doors), settings, drain, say)
        watching = [
            asyncio.create_task(_keep_fresh(records, gateway)),
            asyncio.create_task(_welcome(gateway, settings, records, listener, say)),
            asyncio.create_task(_load(engine, settings, records, clock, say)),
        ]
        try:
            await gateway.serve([listener])
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
    if records.database.unsafe:
        raise Misconfigured(f"stopped because the store is unsafe to write to: {records.database.unsafe}")


@asynccontextmanager
async def _callers(records: Opened, clock: Clock) -> AsyncIterator[Callers]:
    callers = Callers(records.database, clock)
    callers.start()
    try:
        yield callers
    finally:
        await callers.close()


async def _keep_fresh(records: Opened, gateway: Gateway) -> None:
    """See models and aliases changed by commands, and end when writing is no longer safe."""
    while True:
        await asyncio.sleep(LOOK_S)
        if records.database.unsafe:
            gateway.stop()
        with contextlib.suppress(TramontaneError):
            await records.database.run(records.catalogue.refresh)


async def _welcome(gateway: Gateway, settings: Settings, records: Opened, listener: socket.socket, say: Say) -> None:
    while not gateway.started:  # noqa: ASYNC110  uvicorn tells nobody
        await asyncio.sleep(0.01)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    say(f"Tramontane {tramontane.__version__} listens at {address} (API description: {address}/docs)")
    if records.first.first_secret is None:
        say("Keys: `tramontane key create NAME` makes one, `tramontane key list` shows them. Ctrl-C stops.")
        return
    say(f"Your first key, shown only now: {records.first.first_secret}")
    say(
        f"Try it:\n  curl {address}/v1/chat/completions -H 'Authorization: Bearer {records.first.first_secret}' \\\n"
        "    -H 'Content-Type: application/json' \\\n"
        f'    -d \'{{"model": "{settings.default_model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}\'\n'
        "Ctrl-C stops."
    )


async def _load(engine: Engine, settings: Settings, records: Opened, clock: Clock, say: Say) -> None:
    """Load what is wanted from the start; the others load on first use."""
    for model in dict.fromkeys((settings.default_model, *settings.preload)):
        if model not in records.catalogue.view.installed:
            say(f"{model} is not on this machine; fetch it with: tramontane models pull {model}")
            continue
        try:
            began_ns = clock.monotonic_ns()
            await engine.load(model)
            say(f"{model} is loaded ({(clock.monotonic_ns() - began_ns) / 1e9:.1f} s).")
        except TramontaneError as error:
            say(f"{model} could not be loaded: {error.message}")
