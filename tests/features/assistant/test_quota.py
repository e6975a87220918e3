"""How much each person keeps: the count says what the rows hold after every verb, and beyond the limit nothing is added."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, Select, Table, select, text
from tests.fakes.doors import scripted
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import FakeModelServer
from tests.features.assistant.rooms import Begun, turn_of

from tramontane.features.assistant import changing, documents, importing, projects, quota, store
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.documents import NewDocument, Version
from tramontane.features.assistant.imports.nouns import Imported, Node
from tramontane.features.assistant.nouns import NewConversation, NewTurn, Owner
from tramontane.features.assistant.tables import conversation, document, document_version, entry, project, shortcut
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import Conflict
from tramontane.foundation.ids import new_id
from tramontane.foundation.nouns import Caller
from tramontane.foundation.progress import silent
from tramontane.foundation.store import schema
from tramontane.foundation.store.database import Database

CALLER = Caller(organisation_id="org", workspace_id="ws", principal_id="p", key_id="key")
COLLEAGUE = Caller(organisation_id="org", workspace_id="ws", principal_id="q", key_id="other")
OWNER = Owner.of(CALLER)
NEW = NewConversation(model="fake", name="Named")
MOST = 20_000


@pytest.fixture
async def assistant(database: Database) -> AsyncIterator[Assistant]:
    made = Assistant(database, FakeRoom(FakeModelServer("fake", script=scripted)), SystemClock(), MOST)
    yield made
    await made.close()


def turn(words: str, **fields: object) -> NewTurn:
    return turn_of(words, request_id=new_id("req"), **fields)


async def start(assistant: Assistant, words: str, caller: Caller = CALLER) -> str:
    run = await assistant.start(caller, NEW, turn(words))
    await run.finished()
    return run.turn.conversation.conversation_id


async def go_on(assistant: Assistant, conversation_id: str, words: str, **fields: object) -> None:
    await (await assistant.go_on(CALLER, conversation_id, turn(words, **fields))).finished()


async def counted(assistant: Assistant) -> int:
    return await assistant.read(quota.used, OWNER)


def rows_weigh(connection: Connection, owner: Owner) -> int:
    """What the rows hold, table by table."""
    total = 0
    for table in (conversation, project, shortcut):
        total += sum_of(connection, table, owner, select(table).where(table.c.owner_id == owner.owner_id))
    for hanging, whole, key in ((entry, conversation, "conversation_id"), (document_version, document, "document_id")):
        theirs = select(whole.c[key]).where(whole.c.owner_id == owner.owner_id)
        total += sum_of(connection, hanging, owner, select(hanging).where(hanging.c[key].in_(theirs)))
    return total


def sum_of(connection: Connection, table: Table, owner: Owner, query: Select[Any]) -> int:
    rows = connection.execute(query.where(*store.inside(table, owner))).mappings()
    return sum(len(str(row[name] or "").encode()) for row in rows for name in quota.COUNTED[table])


async def agree(assistant: Assistant) -> int:
    """The count, which must be what is there."""
    with assistant.database.snapshot() as connection:  # an answer that grows is written down meanwhile
        count, rows = quota.used(connection, OWNER), rows_weigh(connection, OWNER)
    assert count == rows
    return count


async def test_the_count_says_what_is_there_after_every_verb(assistant: Assistant) -> None:
    first = await start(assistant, "héllo")
    one = await agree(assistant)
    assert one > 0
    await go_on(assistant, first, "and more")
    two = await agree(assistant)
    assert two > one
    restarted = await assistant.restart(CALLER, first, turn("otherwise"))
    await restarted.finished()
    three = await agree(assistant)
    assert three > two
    made = await assistant.add(documents.add, OWNER, first, NewDocument(title="t", kind="code", content="é" * 100), 1)
    version = Version(version=0, content="b" * 50, author="person", created_ns=2)
    await assistant.add(documents.add_version, OWNER, first, made.document_id, 1, version)
    assert await agree(assistant) == three + 250
    await assistant.write(documents.remove, OWNER, first, made.document_id)
    assert await agree(assistant) == three
    await assistant.add(documents.add, OWNER, first, NewDocument(title="t", kind="code", content="x" * 100), 1)
    await assistant.forget(OWNER, first)
    assert 0 < await agree(assistant) < three
    await assistant.forget(OWNER, restarted.turn.conversation.conversation_id)
    assert await agree(assistant) == 0


async def test_settings_projects_and_shortcuts_count_too(assistant: Assistant) -> None:
    first = await start(assistant, "hello")
    before = await agree(assistant)
    for instructions in ("é" * 100, "short", None):
        await assistant.add(changing.change, OWNER, first, {"instructions": instructions, "name": "Other"})
        await agree(assistant)
    assert await counted(assistant) == before
    for kind, words in (("project", "instructions"), ("shortcut", "text")):
        made = await assistant.add(projects.add, OWNER, kind, {"name": "n", words: "é" * 100}, 1)
        assert await agree(assistant) == before + 201
        await assistant.add(projects.change, OWNER, kind, made[f"{kind}_id"], {words: "short"}, 2)
        assert await agree(assistant) == before + 6
        await assistant.write(projects.remove, OWNER, kind, made[f"{kind}_id"])
        assert await agree(assistant) == before


async def test_what_is_not_kept_counts_for_nothing_and_what_the_engine_refuses_as_far_as_it_stays(
    assistant: Assistant,
) -> None:
    await (await assistant.start(CALLER, NEW, turn("a secret", store=False))).finished()
    assert await counted(assistant) == 0
    first = await start(assistant, "hello")
    before = await agree(assistant)
    for _ in range(3):
        with pytest.raises(Exception, match="unknown"):
            await assistant.start(CALLER, NewConversation(model="unknown"), turn("to nobody"))
        assert await agree(assistant) == before
        with pytest.raises(Exception, match="unknown"):
            await assistant.go_on(CALLER, first, turn("to nobody", model="unknown"))
        before = await agree(assistant)
    await assistant.forget(OWNER, first)
    assert await agree(assistant) == 0


async def test_half_an_answer_counts_as_it_stands_when_the_server_dies(assistant: Assistant) -> None:
    """Nothing of it is made up for after a kill: what is written down is counted with it."""
    run = await assistant.start(CALLER, NEW, turn("slow:1000 words"))
    for said in ("one", "one two", "é"):
        await assistant.keep(run.turn, {"content": said})
        await agree(assistant)
    await run.abandon()
    await agree(assistant)


async def test_who_is_beyond_the_limit_may_make_less_of_it(assistant: Assistant) -> None:
    first = await start(assistant, "x" * 15_000)
    tight = Assistant(assistant.database, FakeRoom(FakeModelServer("fake")), SystemClock(), 100)
    await tight.add(changing.change, OWNER, first, {"name": "n", "pinned": True})
    with pytest.raises(Conflict) as refused:
        await tight.add(changing.change, OWNER, first, {"instructions": "more"})
    assert refused.value.code == "history_full"
    await agree(assistant)


async def test_beyond_the_limit_nothing_is_added_until_something_is_deleted(assistant: Assistant) -> None:
    first = await start(assistant, "x" * 15_000)
    for adding in (
        assistant.start(CALLER, NEW, turn("y" * 6_000)),
        assistant.go_on(CALLER, first, turn("y" * 6_000)),
        assistant.restart(CALLER, first, turn("y")),
        assistant.add(documents.add, OWNER, first, NewDocument(title="t", kind="code", content="y" * 6_000), 1),
        assistant.add(importing.write_portion, OWNER, [brought("y" * 6_000)], assistant.numbers, 1),
    ):
        with pytest.raises(Conflict, match="delete") as refused:
            await adding
        assert refused.value.code == "history_full"
    await agree(assistant)
    assert await assistant.read(store.ids, OWNER) == [first]
    await (await assistant.go_on(CALLER, first, turn("y" * 6_000, store=False))).finished()
    await start(assistant, "a colleague's" * 500, COLLEAGUE)
    await assistant.forget(OWNER, first)
    await start(assistant, "y" * 6_000)
    await agree(assistant)


def brought(words: str) -> Imported:
    node = Node(node_id="n", parent_id=None, kind="message.input", role="user", body={"content": words})
    return Imported(origin=f"test:{words[:5]}", name="brought", nodes=[node], head_id="n")


async def test_what_is_brought_in_counts_once(assistant: Assistant) -> None:
    for written in (1, 0):
        work = assistant.add(importing.write_portion, OWNER, [brought("été" * 100)], assistant.numbers, 1)
        assert await work == written
        assert await agree(assistant) > 500


async def test_many_turns_at_once_are_all_counted(assistant: Assistant) -> None:
    first = await start(assistant, "the first")
    at = (await assistant.read(store.tree, OWNER, first))[0].entry_id
    await asyncio.gather(
        *(start(assistant, f"number {number}") for number in range(8)),
        *(go_on(assistant, first, f"branch {number}", from_entry_id=at) for number in range(8)),
    )
    await agree(assistant)


def test_the_steps_count_what_was_there_before(address: str) -> None:
    database = Database.open(address)
    schema.migrate(database, silent)
    with database.write() as connection:
        one = Begun(connection, OWNER).start("héllo").conversation
        Begun(connection, Owner("org", "elsewhere", OWNER.owner_id)).start("not his here")
        new = NewDocument(title="t", kind="code", content="é" * 10)
        documents.add(connection, OWNER, one.conversation_id, new, 1)
        projects.add(connection, OWNER, "project", {"name": "n", "instructions": "é" * 10}, 1)
        # As it was before the steps that count.
        connection.execute(text("DROP TABLE kept_bytes"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0007'"))
    schema.migrate(database, silent)
    with database.read() as connection:
        assert quota.used(connection, OWNER) == rows_weigh(connection, OWNER) > 40
    database.close()
