"""What one person may keep, at the doors: who has it all is told how to go on, and others notice nothing."""

import httpx2
import pytest
from tests.entrypoints.api.conversations.conftest import Clients
from tests.entrypoints.api.conversations.test_asking import append, start
from tests.fakes.assistant import COLLEAGUE_KEY, assistant_doors
from tests.fakes.engine_room import FakeRoom

from tramontane.entrypoints.api import Doors
from tramontane.foundation.store.database import Database

MOST = 15_000
LARGE = "words " * 1_000


@pytest.fixture
def doors(database: Database, room: FakeRoom) -> Doors:
    return assistant_doors(database, room, MOST)


async def filled(client: httpx2.AsyncClient) -> str:
    """A conversation that leaves room for small turns."""
    begun = await start(client, LARGE)
    return str((await append(client, begun["conversation_id"], LARGE))["conversation_id"])


async def test_who_keeps_too_much_is_told_how_to_go_on(client: httpx2.AsyncClient, client_of: Clients) -> None:
    first = await filled(client)
    exported = (await client.get("/v1/conversations/export")).content
    base = f"/v1/conversations/{first}"
    document = {"title": "t", "kind": "code", "content": LARGE}
    asked = {"model": "fake", "inputs": LARGE}
    for path, body in (("/v1/conversations", asked), (base, {"inputs": LARGE}), (f"{base}/documents", document)):
        for more in ({}, {"stream": True}) if path != f"{base}/documents" else ({},):
            refused = await client.post(path, json=body | more)
            assert (refused.status_code, refused.json()["code"]) == (409, "history_full"), refused.text
            assert "delete" in refused.json()["message"] and "export" in refused.json()["message"]
    await start(client, LARGE, store=False)
    await start(client_of(COLLEAGUE_KEY), LARGE)
    await append(client, first, "a small one")
    assert (await client.delete(base)).status_code == 204
    await filled(client)
    brought = await client.post("/v1/conversations/import", content=exported)
    assert (brought.status_code, brought.json()["code"]) == (409, "history_full"), brought.text
