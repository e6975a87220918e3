"""What the gateway does while a restore has the store: it keeps its port, asks callers to come back, and waits.

Holds nothing of the store, so that all of it may be replaced.
"""

import asyncio
import contextlib
import logging
import signal
import socket

from tramontane.entrypoints.api import turn_away
from tramontane.foundation.errors import Overloaded, TramontaneError
from tramontane.foundation.settings import Settings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.lease import is_wanted

LOOK_S = 0.3
SIGNALS = (signal.SIGINT, signal.SIGTERM)
REFUSAL = Overloaded(
    "the server's data is being restored; send the request again in a moment", retry_after_s=5, code="restoring"
)
log = logging.getLogger(__name__)


async def stand_aside(settings: Settings, listener: socket.socket) -> bool:
    """Refuse callers until nobody asks for the store any more; False when told to stop before. Closes the listener."""
    stop, told = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, told.set)
    refusing = asyncio.create_task(turn_away(REFUSAL, settings.http, listener, stop))
    try:
        while not told.is_set() and await asyncio.to_thread(_still_wanted, settings):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), LOOK_S)
    finally:
        stop.set()
        await refusing
        for number in SIGNALS:
            loop.remove_signal_handler(number)
    # Asked last: a signal may arrive while the doors close.
    return not told.is_set()


def _still_wanted(settings: Settings) -> bool:
    with contextlib.closing(Database.open(settings.sqlalchemy_url, looking=True)) as database:
        try:
            return is_wanted(database, settings.home)
        except TramontaneError as error:
            log.warning("whether the restore is done cannot be told: %s", error.message)
            return True
