"""Every route of the assistant that takes an id, with a body it takes and ids that are somebody's."""

from collections.abc import Callable
from typing import Any

import httpx2
from tests.entrypoints.api.conversations.talking import start

from tramontane.entrypoints.api import Doors
from tramontane.entrypoints.api.application import build_routes
from tramontane.entrypoints.api.metrics import Metrics

Ids = dict[str, str]
BODIES: dict[tuple[str, str], Callable[[Ids], Any]] = {
    ("POST", "/v1/conversations/{conversation_id}"): lambda ids: {"inputs": "hi"},
    ("POST", "/v1/conversations/{conversation_id}/restart"): lambda ids: {"inputs": "hi", "from_entry_id": ids["entry_id"]},
    ("PATCH", "/v1/conversations/{conversation_id}"): lambda ids: {"pinned": True},
    ("POST", "/v1/conversations/{conversation_id}/documents"): lambda ids: {"title": "t", "kind": "code", "content": "x"},
    ("PATCH", "/v1/conversations/{conversation_id}/documents/{document_id}"): lambda ids: {"title": "t"},
    ("POST", "/v1/conversations/{conversation_id}/documents/{document_id}/versions"): lambda ids: {
        "content": "x", "base_version": 1,
    },
    ("PATCH", "/v1/projects/{project_id}"): lambda ids: {"name": "n"},
    ("PATCH", "/v1/shortcuts/{shortcut_id}"): lambda ids: {"name": "n"},
}  # fmt: skip
# Read by everybody of the organisation: that is what it is for.
SHARED = ("GET", "/v1/shares/{share_id}")


def routes_with_ids(doors: Doors) -> list[tuple[str, str]]:
    """Every route of the assistant that takes an id; the search among the routes is what keeps this test whole."""
    found = []
    for route in build_routes(doors, Metrics(doors.engine.status)).routes:
        path = getattr(route, "path", "")
        if "{" in path and path.split("/")[2] in ("conversations", "projects", "shortcuts", "shares"):
            found += [(method, path) for method in sorted(route.methods - {"HEAD"})]  # type: ignore[attr-defined]
    return found


async def ids_of(client: httpx2.AsyncClient) -> Ids:
    begun = await start(client, "mine")
    base = f"/v1/conversations/{begun['conversation_id']}"
    document = {"title": "t", "kind": "code", "content": "x"}
    return {
        "conversation_id": begun["conversation_id"],
        "entry_id": begun["output_entry_id"],
        "document_id": (await client.post(f"{base}/documents", json=document)).json()["id"],
        "share_id": (await client.post(f"{base}/shares")).json()["share_id"],
        "project_id": (await client.post("/v1/projects", json={"name": "p"})).json()["id"],
        "shortcut_id": (await client.post("/v1/shortcuts", json={"name": "s", "text": "t"})).json()["id"],
    }
