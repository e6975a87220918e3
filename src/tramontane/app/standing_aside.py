"""What the gateway does while a restore has the store: it keeps its port, asks callers to come back, and waits.

Holds nothing of the store, so that all of it may be replaced.
"""

import asyncio
import contextlib
import logging
import socket

from tramontane.app.ending import told_to_end
from tramontane.entrypoints.api import turn_away
from tramontane.foundation.errors import Overloaded, TramontaneError
from tramontane.foundation.settings import Settings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.lease import is_wanted, leased

LOOK_S = 0.3
REFUSAL = Overloaded(
    "the server's data is being restored; send the request again in a moment", retry_after_s=5, code="restoring"
)
log = logging.getLogger(__name__)


async def stand_aside(settings: Settings, listener: socket.socket) -> bool:
    """Refuse callers until the store may be used again; False when told to stop before. Closes the listener."""
    stop, told = asyncio.Event(), asyncio.Event()
    with told_to_end(told.set):
        refusing = asyncio.create_task(turn_away(REFUSAL, settings.http, listener, stop))
        try:
            while not told.is_set() and await asyncio.to_thread(_must_wait, settings):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(told.wait(), LOOK_S)
        finally:
            stop.set()
            await refusing
    # Asked last: a signal may arrive while the doors close.
    return not told.is_set()


def _must_wait(settings: Settings) -> bool:
    """Whether the store is asked for, or cannot be had: who has made way comes back and does not end over it."""
    with contextlib.closing(Database.open(settings.sqlalchemy_url, looking=True)) as database:
        try:
            if is_wanted(database, settings.home):
                return True
        except TramontaneError as error:
            log.warning("whether the restore is done cannot be told: %s", error.message)
            return True
        return not database.missing and not _can_be_opened(settings)


def _can_be_opened(settings: Settings) -> bool:
    """Whether nobody else holds the database: a restore that gives up may leave it to a stranger who does not let go."""
    with contextlib.closing(Database.open(settings.sqlalchemy_url)) as database:
        try:
            with leased(database, settings.home), database.write():
                return True
        except TramontaneError as error:
            log.warning("the database cannot be opened yet: %s", error.message)
            # Waiting mends no damaged file; who opens it says what is wrong with it.
            return bool(database.unsafe)
