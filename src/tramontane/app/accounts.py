"""Opens the accounts of the installation's people, and the first administrator's link while there is none."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tramontane.app.records import Opened
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import TramontaneError
from tramontane.foundation.settings import Settings
from tramontane.records.access.accounts import Accounts

TIDY_S = 6 * 3600
log = logging.getLogger(__name__)


@asynccontextmanager
async def opened_accounts(settings: Settings, clock: Clock, records: Opened) -> AsyncIterator[Accounts]:
    """Accounts of the default organisation; when each session was last used is written on the way out."""
    organisation_id = records.first.scope.organisation_id
    accounts = Accounts(records.database, clock, organisation_id, settings.sessions)
    accounts.sessions.start()
    tidying = asyncio.create_task(_keep_tidy(accounts))
    try:
        yield accounts
    finally:
        tidying.cancel()
        await asyncio.gather(tidying, return_exceptions=True)
        await accounts.close()


async def first_link(records: Opened, accounts: Accounts) -> str | None:
    """The path that makes the first administrator; a new one at each start, none once somebody can sign in."""
    made = await records.database.run_write(accounts.invitations.first, records.first.scope)
    return made.path if made else None


async def _keep_tidy(accounts: Accounts) -> None:
    """Drop sessions that are over; they open nothing, and their rows need not stay."""
    while True:
        try:
            await accounts.sessions.end_overdue()
        except TramontaneError:
            pass  # the store has said so in the log
        except Exception:
            log.exception("sessions that are over could not be dropped")
        await asyncio.sleep(TIDY_S)
