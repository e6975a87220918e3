"""Taking conversations along and bringing them in, through the doors on both databases: ours and other assistants'."""

import json
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from tests.entrypoints.api.conversations.conftest import Clients
from tests.entrypoints.api.conversations.exports import brought, chatgpt, lechat, openwebui, zipped
from tests.entrypoints.api.conversations.talking import SCRIPT, append, sent, start, tree
from tests.fakes.assistant import COLLEAGUE_KEY

from tramontane.foundation.store.database import Database


def shape(shown: dict[str, Any]) -> list[tuple[int | None, str, Any]]:
    """The tree without its ids."""
    places = {entry["id"]: place for place, entry in enumerate(shown["entries"])}
    return [(places.get(entry["parent_id"]), entry["type"], entry["content"]) for entry in shown["entries"]]


def shape_place(shown: dict[str, Any], content: str) -> int:
    return next(place for place, entry in enumerate(shown["entries"]) if entry["content"] == content)


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
