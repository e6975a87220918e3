"""Projects, shortcuts, shares, canvas documents, lists and search, through the doors on both databases."""

import httpx2
import pytest
from tests.entrypoints.api.conversations.conftest import Clients
from tests.entrypoints.api.conversations.talking import SCRIPT, append, last_ask, sent, start, texts, tree
from tests.fakes.assistant import COLLEAGUE_KEY, STRANGER_KEY
from tests.fakes.doors import OTHER_KEY
from tests.fakes.engine_room import FakeRoom


async def test_a_projects_instructions_come_first_and_its_conversations_stay(
    client: httpx2.AsyncClient, room: FakeRoom
) -> None:
    project = await sent(client, "POST", "/v1/projects", {"name": "Wind", "instructions": "Speak of wind."})
    begun = await start(client, "hello", project_id=project["id"], instructions="Be brief.")
    assert texts(await last_ask(room))[0] == ("system", "Speak of wind.\n\nBe brief.")
    changed = await sent(client, "PATCH", f"/v1/projects/{project['id']}", {"instructions": "Speak of rain."})
    assert (changed["name"], changed["instructions"]) == ("Wind", "Speak of rain.")
    await append(client, begun["conversation_id"])
    assert texts(await last_ask(room))[0][1].startswith("Speak of rain.")
    listed = await sent(client, "GET", f"/v1/conversations?project_id={project['id']}")
    assert [one["id"] for one in listed] == [begun["conversation_id"]]
    await sent(client, "DELETE", f"/v1/projects/{project['id']}", status=204)
    assert await sent(client, "GET", "/v1/projects") == []
    shown = await sent(client, "GET", f"/v1/conversations/{begun['conversation_id']}")
    assert shown["project_id"] is None


async def test_shortcuts_have_names_of_their_own(client: httpx2.AsyncClient, client_of: Clients) -> None:
    made = await sent(client, "POST", "/v1/shortcuts", {"name": "sum", "text": "Sum up:"})
    assert (await sent(client, "POST", "/v1/shortcuts", {"name": "sum", "text": "x"}, 409))["code"] == "name_taken"
    other = await sent(client, "POST", "/v1/shortcuts", {"name": "tr", "text": "Translate:"})
    assert (await sent(client, "PATCH", f"/v1/shortcuts/{other['id']}", {"name": "sum"}, 409))["code"] == "name_taken"
    await sent(client_of(COLLEAGUE_KEY), "POST", "/v1/shortcuts", {"name": "sum", "text": "mine"})
    assert [one["name"] for one in await sent(client, "GET", "/v1/shortcuts")] == ["sum", "tr"]
    await sent(client, "DELETE", f"/v1/shortcuts/{made['id']}", status=204)
    assert [one["name"] for one in await sent(client, "GET", "/v1/shortcuts")] == ["tr"]


async def test_a_share_shows_the_path_up_to_then_inside_the_organisation(
    client: httpx2.AsyncClient, client_of: Clients
) -> None:
    begun = await start(client, "first", name="Shared")
    made = await sent(client, "POST", f"/v1/conversations/{begun['conversation_id']}/shares")
    assert made["path"] == f"/share/{made['share_id']}"
    await append(client, begun["conversation_id"], "a secret said later")
    path = f"/v1/shares/{made['share_id']}"
    for key in (COLLEAGUE_KEY, OTHER_KEY):
        shown = await sent(client_of(key), "GET", path)
        assert shown["name"] == "Shared"
        assert [entry["id"] for entry in shown["entries"]] == [*begun["input_entry_ids"], begun["output_entry_id"]]
    await sent(client_of(STRANGER_KEY), "GET", path, status=404)
    await sent(client_of(COLLEAGUE_KEY), "DELETE", path, status=404)
    listed = await sent(client, "GET", f"/v1/conversations/{begun['conversation_id']}/shares")
    assert [one["share_id"] for one in listed] == [made["share_id"]]
    await sent(client, "DELETE", path, status=204)
    await sent(client_of(COLLEAGUE_KEY), "GET", path, status=404)


async def test_a_deleted_conversation_takes_everything_along(client: httpx2.AsyncClient, client_of: Clients) -> None:
    begun = await start(client, "zephyr")
    base = f"/v1/conversations/{begun['conversation_id']}"
    made = await sent(client, "POST", f"{base}/shares")
    await sent(client, "POST", f"{base}/documents", {"title": "t", "kind": "code", "content": "x"})
    assert len(await sent(client, "GET", "/v1/conversations/search?q=zephyr")) == 1
    await sent(client, "DELETE", base, status=204)
    await sent(client, "GET", base, status=404)
    await sent(client_of(COLLEAGUE_KEY), "GET", f"/v1/shares/{made['share_id']}", status=404)
    assert await sent(client, "GET", "/v1/conversations/search?q=zephyr") == []
    await sent(client, "DELETE", base, status=404)


async def test_documents_keep_every_version_and_refuse_one_made_from_an_old_one(client: httpx2.AsyncClient) -> None:
    begun = await start(client)
    base = f"/v1/conversations/{begun['conversation_id']}/documents"
    body = {"title": SCRIPT, "kind": "html", "content": SCRIPT, "entry_id": begun["output_entry_id"]}
    made = await sent(client, "POST", base, body)
    assert (made["version"], made["title"]) == (1, SCRIPT)
    path = f"{base}/{made['id']}"
    changed = await sent(client, "POST", f"{path}/versions", {"content": "two", "author": "person", "base_version": 1})
    assert changed["version"] == 2
    refused = await sent(client, "POST", f"{path}/versions", {"content": "also two", "base_version": 1}, 409)
    assert refused["code"] == "not_the_newest"
    assert (await sent(client, "PATCH", path, {"title": "new"}))["title"] == "new"
    shown = await sent(client, "GET", path)
    assert [(one["version"], one["content"], one["author"]) for one in shown["versions"]] == [
        (1, SCRIPT, "model"), (2, "two", "person"),
    ]  # fmt: skip
    assert [one["id"] for one in await sent(client, "GET", base)] == [made["id"]]
    await sent(client, "DELETE", path, status=204)
    await sent(client, "GET", path, status=404)


async def test_search_finds_words_by_their_beginning_without_case_or_accents(client: httpx2.AsyncClient) -> None:
    begun = await start(client, "Où souffle la Tramontane à Perpignan?")
    await start(client, "something else")
    for looked_for in ("tramon", "SOUFFLE tramontane", "ou souf", "perpignan?"):
        hits = await sent(client, "GET", f"/v1/conversations/search?q={looked_for}")
        assert [hit["conversation_id"] for hit in hits] == [begun["conversation_id"]], looked_for
        assert any(part["hit"] for part in hits[0]["snippet"])
        assert "".join(part["text"] for part in hits[0]["snippet"]) == "Où souffle la Tramontane à Perpignan?"
    assert await sent(client, "GET", "/v1/conversations/search?q=tramontane mistral") == []
    await sent(client, "PATCH", f"/v1/conversations/{begun['conversation_id']}", {"name": "Katabatic"})
    hits = await sent(client, "GET", "/v1/conversations/search?q=kataba")
    assert (hits[0]["entry_id"], hits[0]["snippet"]) == (None, [{"text": "Katabatic", "hit": True}])
    await sent(client, "PATCH", f"/v1/conversations/{begun['conversation_id']}", {"name": "Other"})
    assert await sent(client, "GET", "/v1/conversations/search?q=kataba") == []


@pytest.mark.parametrize(
    "looked_for", ['"', "a\" OR words:\"b", "scope : \"o\"", "NEAR(a b)", "a*", "-a", "a:b", "'", "a & b | !c", "<->",
                   "%00", "\\", "(", "漢字", " ", "", "^a", "'x':*"]
)  # fmt: skip
async def test_what_is_typed_never_becomes_a_query(
    client: httpx2.AsyncClient, client_of: Clients, looked_for: str
) -> None:
    await start(client_of(COLLEAGUE_KEY), "a b c x words scope 漢字")
    response = await client.get("/v1/conversations/search", params={"q": looked_for})
    assert (response.status_code, response.json()) == (200, [])


async def test_lists_are_paged_filtered_and_pinned_first(client: httpx2.AsyncClient) -> None:
    ids = [(await start(client, f"number {place}"))["conversation_id"] for place in range(4)]
    await sent(client, "PATCH", f"/v1/conversations/{ids[0]}", {"pinned": True})
    await sent(client, "PATCH", f"/v1/conversations/{ids[3]}", {"archived": True, "metadata": {"team": "a"}})
    listed = await sent(client, "GET", "/v1/conversations?archived=false")
    assert [one["id"] for one in listed] == [ids[0], ids[2], ids[1]]
    assert listed[0]["preview"] == "number 0"
    second = await sent(client, "GET", "/v1/conversations?archived=false&page=1&page_size=2")
    assert [one["id"] for one in second] == [ids[1]]
    assert [one["id"] for one in await sent(client, "GET", "/v1/conversations?archived=true")] == [ids[3]]
    assert [one["id"] for one in await sent(client, "GET", '/v1/conversations?metadata={"team":"a"}')] == [ids[3]]
    for wrong in ("page=-1", "page_size=0", "pinned=maybe", "metadata=x"):
        await sent(client, "GET", f"/v1/conversations?{wrong}", status=422)


async def test_script_in_every_text_comes_back_untouched(client: httpx2.AsyncClient) -> None:
    begun = await start(client, SCRIPT, name=SCRIPT, instructions=SCRIPT, description=SCRIPT, metadata={SCRIPT: SCRIPT})
    path = f"/v1/conversations/{begun['conversation_id']}"
    response = await client.get(path)
    assert response.headers["content-type"] == "application/json"
    shown = response.json()
    assert [shown[name] for name in ("name", "instructions", "description", "preview")] == [SCRIPT] * 4
    assert shown["metadata"] == {SCRIPT: SCRIPT}
    assert (await tree(client, begun["conversation_id"]))["entries"][0]["content"] == SCRIPT
    project = await sent(client, "POST", "/v1/projects", {"name": SCRIPT, "instructions": SCRIPT})
    shortcut = await sent(client, "POST", "/v1/shortcuts", {"name": SCRIPT, "text": SCRIPT})
    assert project["name"] == project["instructions"] == shortcut["name"] == shortcut["text"] == SCRIPT
    exported = await client.get(f"{path}/export?format=markdown")
    assert exported.headers["content-disposition"].startswith("attachment")
    assert exported.headers["content-type"].startswith("text/markdown")


async def test_texts_with_nothing_in_them_and_zero_bytes_are_kept(client: httpx2.AsyncClient) -> None:
    begun = await start(client, "a\u0000b", name="n\u0000m", instructions="i\u0000")
    shown = await sent(client, "GET", f"/v1/conversations/{begun['conversation_id']}")
    assert shown["name"] == "n\ufffdm"
    assert (await tree(client, begun["conversation_id"]))["entries"][0]["content"] == "a\u0000b"


@pytest.mark.parametrize("wrong", ["%00", "conv_%00", "../../etc", "%F0%9F%91%8B", "x" * 5000])
async def test_ids_that_cannot_be_are_unknown(client: httpx2.AsyncClient, wrong: str) -> None:
    for path in (f"/v1/conversations/{wrong}", f"/v1/conversations/{wrong}/history", f"/v1/shares/{wrong}"):
        assert (await client.get(path)).status_code == 404, path
    assert (await client.get(f"/v1/conversations?project_id={wrong}")).json() == []
    assert (await client.get(f"/v1/conversations/search?q={wrong}")).status_code == 200
