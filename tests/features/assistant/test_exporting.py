"""What is taken along and brought in again, on both databases: the same tree, texts and settings under new ids."""

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.features.assistant.rooms import COLLEAGUE, ELSEWHERE, OWNER, entry, now_ns, parents

from tramontane.features.assistant import exporting, importing, nouns, store
from tramontane.features.assistant.nouns import Conversation, Entry, Numbers, Owner
from tramontane.foundation.errors import InvalidFields, NotFound
from tramontane.foundation.ids import new_id
from tramontane.foundation.store.database import Database

TEXTS = st.text(min_size=1, max_size=30).filter(lambda text: "\x00" not in text)
THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
BODIES = {
    "message.input": TEXTS.map(lambda text: {"content": text}),
    "message.output": TEXTS.map(lambda text: {"content": [THINKING, {"type": "text", "text": text}]}),
    "function.call": TEXTS.map(lambda text: {"tool_call_id": "t", "name": "look", "arguments": text}),
    "function.result": TEXTS.map(lambda text: {"tool_call_id": "t", "result": text}),
}
USAGE = {
    "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1},
    "tramontane": {"first_token_ms": 1.5, "tokens_per_s": None, "cached_tokens": 1, "finish_reason": "stop"},
}  # fmt: skip
SETTINGS = {"tools": [{"type": "function"}], "completion_args": {"temperature": 0.5}, "metadata": {"team": "a"}}


@pytest.fixture(autouse=True)
def by_real_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are numbered with chance, which hypothesis would make the same in each example."""
    monkeypatch.setattr(nouns, "random", random.SystemRandom())


def add(connection: Connection, entries: Sequence[Entry], head: str | None, **fields: Any) -> str:
    made = Conversation(
        conversation_id=new_id("conv"), owner_id="", model="m", number=now_ns(), head_entry_id=head,
        created_ns=now_ns(), updated_ns=now_ns(), **fields,
    )  # fmt: skip
    store.add(connection, OWNER, made, "")
    store.add_entries(connection, OWNER, made.conversation_id, [(one, "") for one in entries], None)
    return made.conversation_id


def upload(*conversations: dict[str, Any]) -> bytes:
    return msgspec.json.encode(
        {"format": exporting.FORMAT, "version": exporting.VERSION, "conversations": conversations}
    )


def bring(connection: Connection, owner: Owner, content: bytes) -> list[dict[str, Any]]:
    """Import, and export again what came."""
    reading = importing.read_upload(content, lambda name, value: value)
    assert reading.problems == []
    before = set(store.ids(connection, owner))
    for portion in reading.portions:
        importing.write_portion(connection, owner, portion, Numbers(now_ns), now_ns())
    return exporting.some(connection, owner, [one for one in store.ids(connection, owner) if one not in before])


def plain(exported: dict[str, Any]) -> dict[str, Any]:
    """Without its ids, which an import makes anew: entries stand by their places, in an order of their own."""
    texts = {one["id"]: msgspec.json.encode(one["body"]).decode() for one in exported["entries"]}
    by_id = {one["id"]: one for one in exported["entries"]}

    def path(entry_id: str | None) -> tuple[str, ...]:
        return () if entry_id is None else (*path(by_id[entry_id]["parent_id"]), texts[entry_id])

    rows = [{**one, "id": None, "parent_id": path(one["parent_id"])} for one in exported["entries"]]
    ordered = sorted(rows, key=lambda row: msgspec.json.encode([row["parent_id"], row["body"], row["type"]]))
    return {**exported, "id": None, "head_entry_id": path(exported["head_entry_id"]), "entries": ordered}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=parents(10).filter(bool), data=st.data())
def test_an_export_comes_back_as_it_was(database: Database, shape: list[int | None], data: st.DataObject) -> None:
    entries: list[Entry] = []
    for place, above in enumerate(shape):
        kind = data.draw(st.sampled_from(sorted(BODIES)))
        role = {"message.input": "user", "message.output": "assistant"}.get(kind)
        one = entry(
            kind, role, entry_id=new_id("msg"), parent_id=None if above is None else entries[above].entry_id,
            body=data.draw(BODIES[kind]), number=now_ns(), created_ns=now_ns(),
            status=data.draw(st.sampled_from(["done", "stopped", "interrupted", "failed"])),
            model="m" if kind == "message.output" else None, usage=USAGE if kind == "message.output" else None,
        )  # fmt: skip
        entries.append(one)
        assert place == len(entries) - 1
    head = entries[data.draw(st.integers(0, len(entries) - 1))].entry_id
    fields: dict[str, Any] = {"name": "Winds", "description": "of them", "instructions": "Be brief.", **SETTINGS}
    fields |= {"pinned": data.draw(st.booleans()), "archived": data.draw(st.booleans())}
    owner = Owner("org", "ws", new_id("p"))
    with database.write() as connection:
        conversation_id = add(connection, entries, head, **fields)
        first = exporting.whole(connection, OWNER, conversation_id)
        (again,) = bring(connection, owner, upload(first))
        assert bring(connection, owner, upload(first)) == []
    assert {name: first[name] for name in fields} == fields
    assert first["head_entry_id"] == head
    assert [one["id"] for one in first["entries"]] == [one.entry_id for one in entries]
    assert plain(again) == plain(first)
    assert not {one["id"] for one in again["entries"]} & {one["id"] for one in first["entries"]}


def test_settings_that_are_refused_stay_behind_by_name(database: Database) -> None:
    def refusing(name: str, value: Any) -> Any:
        if name == "tools":
            raise InvalidFields.of(name, "not these")
        return value

    with database.write() as connection:
        one = entry(number=now_ns())
        exported = exporting.whole(connection, OWNER, add(connection, [one], one.entry_id, name="n", **SETTINGS))
        reading = importing.read_upload(upload(exported), refusing)
        ((read,),) = reading.portions
    assert [(one.code, one.conversation, one.settings) for one in reading.problems] == [("settings_left", 1, ["tools"])]
    assert read.settings == {name: SETTINGS[name] for name in ("completion_args", "metadata")}


def test_an_answer_being_written_is_taken_along_as_interrupted(database: Database) -> None:
    with database.write() as connection:
        running = entry("message.output", "assistant", status="running", number=now_ns())
        exported = exporting.whole(connection, OWNER, add(connection, [running], running.entry_id))
    assert [one["status"] for one in exported["entries"]] == ["interrupted"]


@pytest.mark.parametrize("stranger", [COLLEAGUE, ELSEWHERE, Owner("elsewhere", "ws", "ada")])
def test_a_stranger_takes_nothing_along(database: Database, stranger: Owner) -> None:
    with database.write() as connection:
        one = entry(number=now_ns())
        conversation_id = add(connection, [one], one.entry_id)
        assert exporting.some(connection, stranger, [conversation_id, "conv_gone"]) == []
        for verb in (exporting.whole, exporting.markdown):
            with pytest.raises(NotFound):
                verb(connection, stranger, conversation_id)
        assert len(exporting.some(connection, OWNER, ["conv_gone", conversation_id])) == 1


def test_markdown_is_the_branch_that_is_shown(database: Database) -> None:
    file = {"type": "document_url", "document_url": "data:,x", "document_name": "my\nnotes.txt"}
    picture = {"type": "image_url", "image_url": "data:image/png;base64,AA=="}
    question = entry(number=now_ns(), body={"content": [{"type": "text", "text": "see"}, file, picture]})
    other = entry(
        "message.output", "assistant", parent_id=question.entry_id, number=now_ns(), body={"content": "not me"}
    )
    call = entry(
        "function.call", None, parent_id=question.entry_id, number=now_ns(),
        body={"tool_call_id": "t", "name": "look", "arguments": '{"a":1}'},
    )  # fmt: skip
    result = entry(
        "function.result", None, parent_id=call.entry_id, number=now_ns(), body={"tool_call_id": "t", "result": "42"}
    )
    empty = entry("message.output", "assistant", parent_id=result.entry_id, number=now_ns(), body={"content": ""})
    with database.write() as connection:
        conversation_id = add(
            connection,
            [question, other, call, result, empty],
            empty.entry_id,
            name="Of\nwinds",
            instructions="Be\nbrief.",
        )
        written = exporting.markdown(connection, OWNER, conversation_id).decode()
    title, about, *rest = written.split("\n\n")
    assert (title, about.partition(" · ")[2]) == ("# Of winds", "m")
    assert "not me" not in written
    assert rest == [
        "> Be\n> brief.", "## You", "see", "*my notes.txt*", "*image*", "## Function call", 'look({"a":1})',
        "## Function result", "42", "## Assistant", "…\n",
    ]  # fmt: skip
