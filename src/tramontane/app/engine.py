"""Opens the engine with its receipts over open records, and ends it. The doors and the terminal both stand on this."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tramontane.adapters.sources.machine import read_machine
from tramontane.app.directory import Directory
from tramontane.app.records import Opened
from tramontane.app.servers import Servers
from tramontane.engine.nouns import Policy
from tramontane.engine.room import Engine
from tramontane.foundation.clock import Clock
from tramontane.foundation.settings import Settings
from tramontane.records.catalog.memory import models_memory_bytes
from tramontane.records.ledger import ReceiptBook


@asynccontextmanager
async def opened_engine(settings: Settings, clock: Clock, records: Opened) -> AsyncIterator[Engine]:
    """The engine with its receipts, started; drained at once on the way out (the caller drains before with patience)."""
    book = ReceiptBook(records.database, settings.home / "receipts")
    await book.start()
    engine = Engine(
        Directory(records.catalogue, settings.home),
        Servers(settings, records.catalogue, clock),
        book,
        secret=records.first.server_secret,
        policy=policy_of(settings),
        clock=clock,
    )
    await engine.start()
    try:
        yield engine
    finally:
        await engine.drain(0)
        await book.close()


def policy_of(settings: Settings) -> Policy:
    """The engine's numbers from the settings and the machine's memory."""
    machine = read_machine(settings.home, settings.engine.memory_limit_bytes)
    return Policy(
        max_wait_s=settings.queue.max_wait_s,
        max_waiting=settings.queue.max_waiting,
        default_requests_per_minute=settings.queue.default_requests_per_minute,
        default_tokens_per_minute=settings.queue.default_tokens_per_minute,
        idle_unload_s=settings.engine.idle_unload_s,
        memory_limit_bytes=models_memory_bytes(machine),
        load_timeout_s=settings.engine.load_timeout_s,
    )
