"""The gateway process: doors over the engine in one event loop, from the bound port to the last request's end.

It ends when it is told to, and makes way when a restore wants the store; `standing_aside` is what it does then.
"""

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import tramontane
from tramontane.app.accounts import first_link, opened_accounts
from tramontane.app.directory import Directory
from tramontane.app.ending import told_to_end
from tramontane.app.engine import opened_engine
from tramontane.app.records import Opened
from tramontane.app.studio import Studio
from tramontane.engine.room import Engine
from tramontane.entrypoints import web
from tramontane.entrypoints.api import Doors, serve
from tramontane.entrypoints.api.drain import Drain
from tramontane.entrypoints.web import WebDoors
from tramontane.features.assistant.assistant import Assistant
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import Misconfigured, TramontaneError
from tramontane.foundation.settings import Settings
from tramontane.foundation.store.errors import StoreInUse
from tramontane.foundation.store.lease import is_wanted
from tramontane.records.access.callers import Callers

LOOK_S = 1.0
log = logging.getLogger(__name__)
Say = Callable[[str], None]


class Leaving:
    """Why the gateway ends: told to stop, or, with `for_restore`, only until the store may be used again."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.for_restore = False
        self.told = False

    def make_way(self) -> None:
        self.for_restore = not self.stop.is_set()
        self.stop.set()


async def run_gateway(settings: Settings, clock: Clock, records: Opened, listener: socket.socket, say: Say) -> bool:
    """Serve until stopped; True when only a restore was made way for.

    Raises Misconfigured when the store has become unsafe to write to.
    """
    leaving = Leaving()
    async with (
        opened_engine(settings, clock, records) as engine,
        _callers(records, clock) as callers,
        opened_accounts(settings, clock, records) as accounts,
        _assistant(settings, records, engine, clock) as assistant,
        _studio(settings, records, engine, clock) as studio,
    ):
        drain = Drain()
        directory = Directory(records.catalogue)
        browser = WebDoors(
            accounts=accounts, database=records.database, default_model=settings.default_model,
            settings=settings.http, clock=clock, studio=studio, forget_key=callers.forget, drain=drain,
        )  # fmt: skip
        doors = Doors(
            engine=engine, assistant=assistant, authenticate=callers.caller_for, sessions=accounts.sessions.signed_in,
            more=(functools.partial(web.add_routes, web=browser),), models=directory.cards, settings=settings.http,
            required=_wanted(settings, records), bound_host=settings.host, clock=clock,
            drain=drain,
        )  # fmt: skip
        serving = asyncio.create_task(serve(doors, listener, leaving.stop))
        watching = [
            asyncio.create_task(_keep_fresh(settings, records, leaving)),
            asyncio.create_task(_load(engine, settings, records, clock, say)),
        ]
        _welcome(settings, records, listener, await first_link(records, accounts), say)
        try:
            with _stopping(doors, settings, leaving, serving, say), contextlib.suppress(asyncio.CancelledError):
                await serving
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
    if records.database.unsafe:
        raise Misconfigured(f"stopped because the store is unsafe to write to: {records.database.unsafe}")
    return leaving.for_restore


@contextmanager
def _stopping(
    doors: Doors, settings: Settings, leaving: Leaving, serving: asyncio.Task[bool], say: Say
) -> Iterator[None]:
    """The first signal lets open requests end, the second cuts them."""

    def on_signal() -> None:
        if leaving.told:
            serving.cancel()
            return
        # It may be letting requests end already, for a restore: they keep their time.
        leaving.told, leaving.for_restore = True, False
        leaving.stop.set()
        if doors.drain.inside:
            say(
                f"Stopping: {doors.drain.inside} open requests may end within {settings.http.drain_s} s; "
                "Ctrl-C again stops at once."
            )

    with told_to_end(on_signal):
        yield


@asynccontextmanager
async def _callers(records: Opened, clock: Clock) -> AsyncIterator[Callers]:
    callers = Callers(records.database, clock)
    callers.start()
    try:
        yield callers
    finally:
        await callers.close()


@asynccontextmanager
async def _assistant(settings: Settings, records: Opened, engine: Engine, clock: Clock) -> AsyncIterator[Assistant]:
    """Closed before the engine and the database, so that answers cut short are still written down."""
    assistant = Assistant(records.database, engine, clock, settings.assistant.max_kept_bytes)
    try:
        yield assistant
    finally:
        await assistant.close()


@asynccontextmanager
async def _studio(settings: Settings, records: Opened, engine: Engine, clock: Clock) -> AsyncIterator[Studio]:
    """Closed before the engine and the database: a pull that is stopped still puts its files away."""
    studio = Studio(settings, records.database, records.catalogue, engine, clock)
    try:
        yield studio
    finally:
        await studio.close()


async def _keep_fresh(settings: Settings, records: Opened, leaving: Leaving) -> None:
    """See models and aliases changed by commands; end when writing is no longer safe, or a restore wants the store."""
    readable = True
    while True:
        await asyncio.sleep(LOOK_S)
        if records.database.unsafe:
            leaving.stop.set()
        try:
            await records.database.run(records.lease.keep)
            if await records.database.run(is_wanted, records.database, settings.home):
                raise StoreInUse("a restore asks for the store")
            await records.database.run(records.catalogue.refresh)
            readable = True
        except StoreInUse:
            log.warning("the store is to be restored: open requests may end within %s s", settings.http.drain_s)
            leaving.make_way()
            return
        except TramontaneError:
            pass  # the store has said so in the log
        # A row this release cannot read must not end the looking: what was read last stays in force.
        except Exception:
            if readable:
                log.exception("the catalogue cannot be read again")
            readable = False


def _welcome(settings: Settings, records: Opened, listener: socket.socket, join: str | None, say: Say) -> None:
    """Connections are taken from now on: the socket listens, and the loop answers as soon as it turns."""
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    say(f"Tramontane {tramontane.__version__} listens at {address} (API description: {address}/docs)")
    if join is not None:
        page = settings.browser_address(port) + join
        say(f"Open this once in a browser to make yourself its first administrator:\n  {page}")
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


def _wanted(settings: Settings, records: Opened) -> tuple[str, ...]:
    """The models wanted from the start, aliases followed; a name that leads nowhere stays, so that it can be named."""
    found = []
    for name in (settings.default_model, *settings.preload):
        try:
            found.append(records.catalogue.installed(records.first.scope, name).name)
        except TramontaneError:
            found.append(name)
    return tuple(dict.fromkeys(found))


async def _load(engine: Engine, settings: Settings, records: Opened, clock: Clock, say: Say) -> None:
    """Load what is wanted from the start; the others load on first use."""
    for model in _wanted(settings, records):
        if model not in records.catalogue.view.installed:
            say(f"{model} is not on this machine; fetch it with: tramontane models pull {model}")
            continue
        try:
            began_ns = clock.monotonic_ns()
            await engine.load(model)
            say(f"{model} is loaded ({(clock.monotonic_ns() - began_ns) / 1e9:.1f} s).")
        except TramontaneError as error:
            say(f"{model} could not be loaded: {error.message}")
