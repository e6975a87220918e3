"""Projects, shortcuts, shares, canvas documents, search, export and import, through the doors on both databases."""

import io
import json
import zipfile
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.entrypoints.api.conversations.conftest import Clients
from tests.entrypoints.api.conversations.test_asking import append, last_ask, start, texts, tree
from tests.fakes.assistant import COLLEAGUE_KEY, STRANGER_KEY
from tests.fakes.doors import OTHER_KEY
from tests.fakes.engine_room import FakeRoom

from tramontane.foundation.store.database import Database

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\"';--\u202e"


async def sent(client: httpx2.AsyncClient, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    response = await client.request(method, path, **({} if body is None else {"json": body}))
    assert response.status_code == status, response.text
    return response.json() if response.content else None


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


async def test_an_export_of_ours_comes_back_whole_and_only_once(client: httpx2.AsyncClient, client_of: Clients) -> None:
    begun = await start(client, "first", name="Branches")
    await append(client, begun["conversation_id"], [], from_entry_id=begun["input_entry_ids"][0])
    await append(client, begun["conversation_id"], "deeper")
    exported = await client.get(f"/v1/conversations/{begun['conversation_id']}/export?format=json")
    everything = await client.get("/v1/conversations/export")
    assert everything.json()["conversations"] == exported.json()["conversations"]
    colleague = client_of(COLLEAGUE_KEY)
    expected = {"source": "tramontane", "imported": 1, "skipped": 0, "problems": []}
    assert await brought(colleague, exported.content) == expected
    assert await brought(colleague, exported.content) == {**expected, "imported": 0, "skipped": 1}
    listed = await sent(colleague, "GET", "/v1/conversations")
    assert [one["name"] for one in listed] == ["Branches"]
    assert shape(await tree(colleague, listed[0]["id"])) == shape(await tree(client, begun["conversation_id"]))
    markdown = (await client.get(f"/v1/conversations/{begun['conversation_id']}/export")).text
    assert markdown.startswith("# Branches\n") and "## You\n\nfirst\n" in markdown


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


async def test_settings_and_usage_come_back_too(client: httpx2.AsyncClient, client_of: Clients) -> None:
    more = {"tools": [TOOL], "completion_args": {"temperature": 0.3, "tool_choice": "none"}, "metadata": {"team": "a"}}
    begun = await start(client, "first", **more)
    exported = await client.get(f"/v1/conversations/{begun['conversation_id']}/export?format=json")
    colleague = client_of(COLLEAGUE_KEY)
    assert (await brought(colleague, exported.content))["problems"] == []
    (listed,) = await sent(colleague, "GET", "/v1/conversations")
    mine = await sent(client, "GET", f"/v1/conversations/{begun['conversation_id']}")
    theirs = await sent(colleague, "GET", f"/v1/conversations/{listed['id']}")
    for name in more:
        assert theirs[name] == mine[name], name
    usages = [
        (await tree(one, number))["entries"][-1]["usage"]
        for one, number in ((client, begun["conversation_id"]), (colleague, listed["id"]))
    ]
    assert usages[0] == usages[1] and usages[0]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", [{"type": "web_search"}]), ("tools", "all"), ("tools", [TOOL, TOOL]), ("tools", [TOOL] * 129),
        ("tools", [{**TOOL, "function": {**TOOL["function"], "description": "x" * 300_000}}]),
        ("completion_args", {"temperature": 99}), ("completion_args", {"max_tokens": "many"}), ("completion_args", [1]),
        ("completion_args", {"response_format": {"type": "json_schema"}}),
        ("metadata", {"x": "y" * 20_000}), ("metadata", ["a"]),
    ],
)  # fmt: skip
async def test_a_setting_the_api_would_not_take_stays_behind_and_is_named(
    client: httpx2.AsyncClient, field: str, value: Any
) -> None:
    begun = await start(client, "first", metadata={"kept": "yes"}, completion_args={"top_p": 0.5})
    exported = (await client.get(f"/v1/conversations/{begun['conversation_id']}/export?format=json")).json()
    await client.delete(f"/v1/conversations/{begun['conversation_id']}")
    exported["conversations"][0][field] = value
    result = await brought(client, json.dumps(exported).encode())
    (problem,) = result["problems"]
    assert (result["imported"], result["skipped"]) == (1, 0)
    assert (problem["conversation"], problem["code"], problem["settings"]) == (1, "settings_left", [field])
    (listed,) = await sent(client, "GET", "/v1/conversations")
    shown = await sent(client, "GET", f"/v1/conversations/{listed['id']}")
    expected = {"tools": [], "completion_args": {"top_p": 0.5}, "metadata": {"kept": "yes"}}
    empty = {"tools": [], "completion_args": {}, "metadata": None}
    for name, kept in expected.items():
        assert (shown[name] or empty[name]) == (empty[name] if name == field else kept), name
    await append(client, listed["id"], "still answers", model="fake")


@pytest.mark.parametrize(
    "usage", [7, {"prompt_tokens": -1}, {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 10**30},
              {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "tramontane": {"finish_reason": "<b>"}}]
)  # fmt: skip
async def test_a_usage_that_cannot_be_is_no_usage(client: httpx2.AsyncClient, usage: Any) -> None:
    begun = await start(client, "first")
    exported = (await client.get(f"/v1/conversations/{begun['conversation_id']}/export?format=json")).json()
    await client.delete(f"/v1/conversations/{begun['conversation_id']}")
    exported["conversations"][0]["entries"][-1]["usage"] = usage
    assert (await brought(client, json.dumps(exported).encode()))["imported"] == 1
    (listed,) = await sent(client, "GET", "/v1/conversations")
    assert (await tree(client, listed["id"]))["entries"][-1].get("usage") is None


def shape(shown: dict[str, Any]) -> list[tuple[int | None, str, Any]]:
    """The tree without its ids."""
    places = {entry["id"]: place for place, entry in enumerate(shown["entries"])}
    return [(places.get(entry["parent_id"]), entry["type"], entry["content"]) for entry in shown["entries"]]


async def brought(client: httpx2.AsyncClient, content: bytes, status: int = 200) -> Any:
    response = await client.post("/v1/conversations/import", content=content)
    assert response.status_code == status, response.text
    return response.json()


def chatgpt() -> list[dict[str, Any]]:
    def node(name: str, parent: str | None, role: str, said: str, **more: Any) -> dict[str, Any]:
        message = {
            "id": name, "author": {"role": role, "name": None, "metadata": {}}, "create_time": 1_700_000_000.5,
            "content": {"content_type": "text", "parts": [said]}, "status": "finished_successfully", "weight": 1.0,
            "metadata": {"model_slug": "gpt-4o"}, "recipient": "all", **more,
        }  # fmt: skip
        return {"id": name, "message": message, "parent": parent, "children": []}

    mapping = {
        "root": {"id": "root", "message": None, "parent": None, "children": ["sys"]},
        "sys": node("sys", "root", "system", ""),
        "q": node("q", "sys", "user", "Where does the mistral blow?"),
        "tool": node("tool", "q", "tool", "looked up", recipient="all"),
        "a1": node("a1", "tool", "assistant", "In the Rhône valley."),
        "a2": node("a2", "q", "assistant", "From the north."),
        "hidden": node("hidden", "a1", "user", "x", metadata={"is_visually_hidden_from_conversation": True}),
    }
    return [
        {
            "title": "Winds " + SCRIPT, "create_time": 1_700_000_000.1, "update_time": 1_700_000_100.2,
            "mapping": mapping, "current_node": "hidden", "conversation_id": "abc", "id": "abc", "is_archived": False,
        },
        {"title": "broken", "mapping": None},
    ]  # fmt: skip


def lechat() -> list[dict[str, Any]]:
    common = {"version": 0, "chatId": "chat-1", "reaction": "neutral", "canvas": [], "quotes": []}
    return [
        {**common, "id": "m1", "role": "user", "content": "Bonjour", "contentChunks": None,
         "createdAt": "2025-06-01T10:00:00.000Z", "files": [{"type": "text", "name": "notes.txt"}]},
        {**common, "id": "m2", "role": "assistant", "content": "", "createdAt": "2025-06-01T10:00:05.000Z",
         "contentChunks": [{"type": "text", "text": "Salut"}, {"type": "tool_call"}, {"type": "text", "text": " !"}],
         "files": []},
    ]  # fmt: skip


def openwebui() -> list[dict[str, Any]]:
    messages = {
        "u": {"id": "u", "parentId": None, "childrenIds": ["a", "b"], "role": "user", "content": "Name a wind",
              "timestamp": 1_700_000_000, "files": [{"type": "image", "url": "data:image/png;base64,iVBORw0KGgo="},
                                                    {"type": "image", "url": "https://example.org/x.png"}]},
        "a": {"id": "a", "parentId": "u", "childrenIds": [], "role": "assistant", "model": "llama3",
              "content": '<details type="reasoning" done="true">\n<summary>Thought</summary>\n> hm\n</details>\nBora',
              "timestamp": 1_700_000_001, "done": True},
        "b": {"id": "b", "parentId": "u", "childrenIds": [], "role": "assistant", "content": "Foehn", "model": "llama3",
              "timestamp": 1_700_000_002},
    }  # fmt: skip
    history = {"messages": messages, "currentId": "b"}
    chat = {"id": "", "title": "Winds", "models": ["llama3"], "history": history, "params": {"system": "Be brief."}}
    return [{"id": "owu", "user_id": "u", "title": "Winds", "chat": chat, "created_at": 1_700_000_000,
             "updated_at": 1_700_000_002, "archived": False, "pinned": True}]  # fmt: skip


def zipped(**files: Any) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content if isinstance(content, bytes) else json.dumps(content))
    return held.getvalue()


async def test_chatgpts_export_comes_in_as_a_tree(client: httpx2.AsyncClient) -> None:
    upload = zipped(**{"chat.html": b"<html>", "conversations.json": chatgpt(), "user.json": {}})
    result = await brought(client, upload)
    assert (result["source"], result["imported"], result["skipped"]) == ("chatgpt", 1, 1)
    (problem,) = result["problems"]
    assert (problem["conversation"], problem["code"]) == (2, "unreadable") and "mapping" in problem["message"]
    again = await brought(client, json.dumps(chatgpt()).encode())
    assert (again["imported"], again["skipped"]) == (0, 2)
    (listed,) = await sent(client, "GET", "/v1/conversations")
    assert listed["name"] == "Winds " + SCRIPT
    assert listed["created_at"].startswith("2023-11-14T22:13:20.1")
    shown = await tree(client, listed["id"])
    assert {one[2]: one[0] for one in shape(shown)} == {
        "Where does the mistral blow?": None, "In the Rhône valley.": shape_place(shown, "Where does the mistral blow?"),
        "From the north.": shape_place(shown, "Where does the mistral blow?"),
    }  # fmt: skip
    history = await sent(client, "GET", f"/v1/conversations/{listed['id']}/history")
    assert history["entries"][-1]["content"] == "In the Rhône valley."
    assert history["entries"][-1]["model"] == "gpt-4o"
    assert len(await sent(client, "GET", "/v1/conversations/search?q=rhone")) == 1
    answered = await append(client, listed["id"], "and then?", model="fake")
    assert answered["outputs"][0]["model"] == "fake"


def shape_place(shown: dict[str, Any], content: str) -> int:
    return next(place for place, entry in enumerate(shown["entries"]) if entry["content"] == content)


async def test_le_chats_export_comes_in(client: httpx2.AsyncClient) -> None:
    result = await brought(client, zipped(**{"export__chat-1.json": lechat(), "export__chat-1-files__notes.txt": b"x"}))
    assert (result["source"], result["imported"]) == ("lechat", 1)
    (listed,) = await sent(client, "GET", "/v1/conversations")
    assert listed["name"] == "Bonjour [notes.txt]"
    assert [entry["content"] for entry in (await tree(client, listed["id"]))["entries"]] == [
        "Bonjour\n[notes.txt]", "Salut !",
    ]  # fmt: skip


async def test_open_webuis_export_comes_in_with_thoughts_and_images(client: httpx2.AsyncClient) -> None:
    result = await brought(client, json.dumps(openwebui()).encode())
    assert (result["source"], result["imported"]) == ("openwebui", 1)
    (listed,) = await sent(client, "GET", "/v1/conversations")
    assert (listed["pinned"], listed["instructions"], listed["model"]) == (True, "Be brief.", "llama3")
    shown = await tree(client, listed["id"])
    first, thought, other = shown["entries"]
    assert [part["type"] for part in first["content"]] == ["text", "image_url"]
    assert thought["content"][0]["thinking"][0]["text"] == "> hm"
    assert thought["content"][1]["text"] == "Bora"
    assert shown["head_entry_id"] == other["id"] and thought["parent_id"] == other["parent_id"] == first["id"]


@pytest.mark.parametrize(
    ("upload", "code"),
    [
        (b"not json", "export_not_json"),
        (b"{}", "unknown_export"),
        (b"PK\x03\x04" + b"\x00" * 200, "zip_unreadable"),
        (zipped(**{"notes.txt": b"x"}), "zip_without_conversations"),
        (zipped(**{"conversations.json": b"\x00" * 151_000_000}), "export_too_large"),
    ],
)
async def test_a_refused_upload_says_which_case_it_is(client: httpx2.AsyncClient, upload: bytes, code: str) -> None:
    response = await client.post("/v1/conversations/import", content=upload)
    assert (response.status_code in (400, 413), response.json()["code"]) == (True, code)


@pytest.mark.parametrize(
    ("upload", "status"),
    [
        (b"", 422),
        (b"not json", 400),
        (b"[" * 100_000, 400),
        (b'[{"title": "\xff"}]', 400),
        (b"{}", 400),
        (b"[]", 400),
        (b"PK\x03\x04" + b"\x00" * 200, 400),
        (zipped(**{"notes.txt": b"x"}), 400),
        (zipped(**{"conversations.json": b"\x00" * 151_000_000}), 413),
        (zipped(**{f"chat-{place}.json": b"[]" for place in range(20_001)}), 413),
        (zipped(**{"..__..__conversations.json": chatgpt()}), 200),
    ],
    ids=["empty", "text", "deep", "not utf-8", "object", "list", "torn", "nothing", "bomb", "many", "upwards"],
)
async def test_hostile_uploads_are_bounded(client: httpx2.AsyncClient, upload: bytes, status: int) -> None:
    await brought(client, upload, status)


async def test_a_database_knows_at_once_what_a_large_import_brought(
    client: httpx2.AsyncClient, database: Database
) -> None:
    """PostgreSQL's planner walks whole workspaces until somebody has counted the rows, which its own upkeep does later."""
    (one, *_) = openwebui()
    export = [one | {"id": f"chat-{place}"} for place in range(60)]
    assert (await brought(client, json.dumps(export).encode()))["imported"] == 60
    if database.kind == "postgresql":
        with database.read() as connection:
            rows = connection.execute(text("SELECT reltuples FROM pg_class WHERE relname = 'conversation'"))
            assert rows.scalar_one() == 60


async def test_a_tree_that_goes_in_circles_is_cut(client: httpx2.AsyncClient) -> None:
    export = chatgpt()[:1]
    mapping = export[0]["mapping"]
    mapping["sys"]["parent"] = "tool"
    mapping["tool"]["parent"] = "sys"
    mapping["a2"]["parent"] = "a2"
    result = await brought(client, json.dumps(export).encode())
    assert result["imported"] == 1
    (listed,) = await sent(client, "GET", "/v1/conversations")
    assert len((await tree(client, listed["id"]))["entries"]) == 2
