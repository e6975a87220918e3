"""What one person may keep, at the doors: who has it all is told how to go on, and others notice nothing."""

import httpx2
import pytest
from tests.entrypoints.api.conversations.conftest import Clients
from tests.entrypoints.api.conversations.talking import append, start
from tests.fakes.assistant import COLLEAGUE_KEY, assistant_doors
from tests.fakes.engine_room import FakeRoom

from tramontane.entrypoints.api import Doors
from tramontane.features.assistant import importing
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
    brought = (await client.post("/v1/conversations/import", content=exported)).json()
    assert (brought["imported"], brought["skipped"], brought["problems"][0]["code"]) == (0, 1, "history_full"), brought


async def test_an_import_beyond_the_limit_says_what_is_in_and_goes_on_when_there_is_room(
    client: httpx2.AsyncClient, client_of: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PORTION_CHARACTERS", 1)
    colleague, path = client_of(COLLEAGUE_KEY), "/v1/conversations/import"
    await filled(colleague)
    for _ in range(2):
        await start(colleague, "a small one")
    exported = (await colleague.get("/v1/conversations/export")).content
    first = await start(client, LARGE)
    half = (await client.post(path, content=exported)).json()
    assert (half["imported"], half["skipped"]) == (2, 1)
    assert [(one["conversation"], one["code"]) for one in half["problems"]] == [(3, "history_full")]
    assert "delete" in half["problems"][0]["message"]
    await client.delete(f"/v1/conversations/{first['conversation_id']}")
    whole = (await client.post(path, content=exported)).json()
    assert (whole["imported"], whole["skipped"], whole["problems"]) == (1, 2, [])
    # What is there already is nothing more to keep.
    await start(client, "a" * 2_000)
    again = (await client.post(path, content=exported)).json()
    assert (again["imported"], again["skipped"], again["problems"]) == (0, 3, [])


async def test_settings_projects_and_shortcuts_are_kept_too(client: httpx2.AsyncClient) -> None:
    first = await filled(client)
    asked = {"model": "fake", "inputs": "x", "instructions": LARGE}
    for method, path, body in (
        ("POST", "/v1/conversations", asked),
        ("PATCH", f"/v1/conversations/{first}", {"instructions": LARGE}),
        ("POST", "/v1/projects", {"name": "n", "instructions": LARGE}),
        ("POST", "/v1/shortcuts", {"name": "n", "text": LARGE}),
    ):
        refused = await client.request(method, path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "history_full"), (path, refused.text)
    assert (await client.patch(f"/v1/conversations/{first}", json={"pinned": True})).status_code == 200
