"""An assistant over a real database and a fake room, and doors with it; its keys belong to two people and two workspaces."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from tests.fakes.doors import KEY, OTHER_KEY, USAGE_KEY, caller_named, cards_of
from tests.fakes.engine_room import FakeRoom

from tramontane.entrypoints.api import Doors
from tramontane.features.assistant.assistant import Assistant
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import Unauthenticated
from tramontane.foundation.nouns import Caller
from tramontane.foundation.store.database import Database

COLLEAGUE_KEY = "tm_colleague_key"  # another person of the first workspace
STRANGER_KEY = "tm_stranger_key"  # another organisation


async def authenticate(secret: str) -> Caller:
    if secret == USAGE_KEY:
        return msgspec.structs.replace(caller_named("ws_one"), roles=frozenset({"usage"}))
    if secret == COLLEAGUE_KEY:
        return msgspec.structs.replace(caller_named("ws_one"), key_id="key-colleague")
    if secret == STRANGER_KEY:
        return msgspec.structs.replace(caller_named("ws_three"), organisation_id="org_two", key_id="key-stranger")
    known = {KEY: "ws_one", OTHER_KEY: "ws_two"}
    if secret not in known:
        raise Unauthenticated("the key is unknown, revoked or expired; ask for a new one")
    return caller_named(known[secret])


PLENTY = 2_000_000_000
"""Bytes that nobody of a test reaches."""


def assistant_doors(database: Database, room: FakeRoom, most_kept_bytes: int = PLENTY, **fields: Any) -> Doors:
    assistant = Assistant(database, room, SystemClock(), most_kept_bytes)
    return Doors(engine=room, assistant=assistant, authenticate=authenticate, models=cards_of, **fields)


@contextmanager
def opened(address: str) -> Iterator[Database]:
    database = Database.open(address)
    try:
        yield database
    finally:
        database.close()
