"""Other people's ids, on every route that takes one: 404 with the same body as for an id that never was."""

import httpx2
import pytest
from tests.entrypoints.api.conversations.conftest import Clients
from tests.entrypoints.api.conversations.routes import BODIES, SHARED, Ids, ids_of, routes_with_ids
from tests.fakes.assistant import COLLEAGUE_KEY, STRANGER_KEY
from tests.fakes.doors import OTHER_KEY

from tramontane.entrypoints.api import Doors, build_app


def _without_ids(text: str, ids: Ids) -> str:
    for value in ids.values():
        text = text.replace(value, "ID")
    return text


@pytest.mark.parametrize(
    "key", [COLLEAGUE_KEY, OTHER_KEY, STRANGER_KEY], ids=["colleague", "workspace", "organisation"]
)
async def test_a_strangers_id_is_as_unknown_as_one_that_never_was(client_of: Clients, doors: Doors, key: str) -> None:
    client, stranger = client_of("tm_test_key"), client_of(key)
    ids = await ids_of(client)
    never = {name: f"{value.split('_')[0]}_{'x' * 22}" for name, value in ids.items()}
    routes = routes_with_ids(doors)
    assert len(routes) >= 20
    for method, path in routes:
        if (method, path) == SHARED and key != STRANGER_KEY:
            continue
        answers = []
        for named in (ids, never):
            body = BODIES[method, path](named) if (method, path) in BODIES else None
            sent = {} if body is None else {"json": body}
            answers.append(await stranger.request(method, path.format(**named), **sent))
        assert [one.status_code for one in answers] == [404, 404], (method, path, answers[0].text)
        assert _without_ids(answers[0].text, ids) == _without_ids(answers[1].text, never), (method, path)
    mine = await client.get(f"/v1/conversations/{ids['conversation_id']}")
    assert (mine.status_code, mine.json()["pinned"]) == (200, False)


async def test_foreign_ids_in_bodies_are_unknown_too(client_of: Clients) -> None:
    client, colleague = client_of("tm_test_key"), client_of(COLLEAGUE_KEY)
    theirs, mine = await ids_of(client), await ids_of(colleague)
    path = f"/v1/conversations/{mine['conversation_id']}"
    bodies = [
        ("PATCH", path, {"project_id": theirs["project_id"]}),
        ("PATCH", path, {"head_entry_id": theirs["entry_id"]}),
        ("POST", path, {"inputs": "x", "from_entry_id": theirs["entry_id"]}),
        ("POST", f"{path}/restart", {"inputs": "x", "from_entry_id": theirs["entry_id"]}),
        ("POST", f"{path}/documents", {"title": "t", "kind": "code", "content": "x", "entry_id": theirs["entry_id"]}),
        ("POST", "/v1/conversations", {"model": "fake", "inputs": "x", "project_id": theirs["project_id"]}),
    ]
    for method, at, body in bodies:
        response = await colleague.request(method, at, json=body)
        assert response.status_code == 404, (method, at, body, response.text)
    response = await colleague.get(f"/v1/conversations/{mine['conversation_id']}/documents/{theirs['document_id']}")
    assert response.status_code == 404


async def test_lists_and_searches_show_only_ones_own(client_of: Clients) -> None:
    await ids_of(client_of("tm_test_key"))
    for key in (COLLEAGUE_KEY, OTHER_KEY, STRANGER_KEY):
        for path in ("/v1/conversations", "/v1/projects", "/v1/shortcuts", "/v1/conversations/search?q=mine"):
            assert (await client_of(key).get(path)).json() == [], path
        assert (await client_of(key).get("/v1/conversations/export")).json()["conversations"] == []


async def test_nobody_without_a_key_gets_anything(doors: Doors) -> None:
    transport = httpx2.ASGITransport(app=build_app(doors))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as nobody:
        for method, path in routes_with_ids(doors):
            response = await nobody.request(method, path.replace("{", "").replace("}", ""), json={})
            assert response.status_code == 401, (method, path)
