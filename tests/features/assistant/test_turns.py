"""A turn as it is written down, on both databases: where it goes on, what the model will read, what is refused."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BinaryExpression, Connection
from tests.features.assistant.rooms import COLLEAGUE, ELSEWHERE, OWNER, Begun, asked, entry, now_ns, parents, path_to

from tramontane.features.assistant import projects, store
from tramontane.features.assistant.nouns import Entry, NewConversation, NewEntry, Owner
from tramontane.features.assistant.turns import Turn
from tramontane.foundation.errors import Conflict, InvalidFields, NotFound
from tramontane.foundation.ids import new_id
from tramontane.foundation.nouns import Message, TextChunk
from tramontane.foundation.store.database import Database

RESULT = NewEntry(kind="function.result", body={"tool_call_id": "c1", "result": "42"})


def said(messages: tuple[Message, ...]) -> list[str]:
    return ["".join(chunk.text for chunk in one.content if isinstance(chunk, TextChunk)) for one in messages]


def tree(connection: Connection, turn: Turn) -> list[Entry]:
    return store.tree(connection, turn.owner, turn.conversation.conversation_id)


def answer(begun: Begun, turn: Turn, text: str) -> None:
    """Write the answer down as a run does at its end."""
    conversation_id = turn.conversation.conversation_id
    store.change_entry(
        begun.connection, turn.owner, conversation_id, turn.output_id, {"body": {"content": text}, "status": "done"}
    )
    store.settle(begun.connection, turn.owner, conversation_id, turn.output_id, turn.output_id, now_ns())
    begun.end(turn)


def test_a_start_writes_the_conversation_the_question_and_the_answer_to_be(database: Database) -> None:
    new = NewConversation(model="m", instructions="Be brief.", tools=[{"type": "function"}], metadata={"team": "a"})
    with database.write() as connection:
        turn = Begun(connection).start("first\nquestion", "and another", new=new)
        one = store.one(connection, OWNER, turn.conversation.conversation_id)
        rows = tree(connection, turn)
    assert [(row.entry_id, row.parent_id, row.status) for row in rows] == [
        (turn.input_ids[0], None, "done"),
        (turn.input_ids[1], turn.input_ids[0], "done"),
        (turn.output_id, turn.input_ids[1], "running"),
    ]
    assert (rows[2].kind, rows[2].role, rows[2].model, rows[2].runner_id) == (
        "message.output", "assistant", "m", "run_now",
    )  # fmt: skip
    assert (one.head_entry_id, one.running_entry_id, one.preview) == (turn.output_id, turn.output_id, "first question")
    assert (one.owner_id, one.instructions, one.tools, one.metadata) == ("ada", "Be brief.", new.tools, new.metadata)
    assert (turn.began, turn.stored, turn.head_id) == (True, True, None)
    assert said(turn.messages) == ["Be brief.", "first\nquestion", "and another"]


@pytest.mark.parametrize(("name", "question"), [(None, "why"), ("Named", None)])
def test_only_what_nobody_named_is_named_by_its_question(
    database: Database, name: str | None, question: str | None
) -> None:
    with database.write() as connection:
        turn = Begun(connection).start("why", new=NewConversation(model="m", name=name))
        assert turn.question == question
        assert store.one(connection, OWNER, turn.conversation.conversation_id).name == name


def test_what_is_not_to_be_kept_leaves_no_row(database: Database) -> None:
    with database.write() as connection:
        begun = Begun(connection)
        turn = begun.start("a secret", store=False)
        assert (turn.stored, turn.question, said(turn.messages)) == (False, None, ["a secret"])
        assert store.ids(connection, OWNER) == []
        kept = begun.start("kept")
        answer(begun, kept, "yes")
        conversation_id = kept.conversation.conversation_id
        for passing in (begun.go_on(conversation_id, "a secret", store=False),
                        begun.restart(conversation_id, "a secret", store=False)):  # fmt: skip
            assert (passing.stored, said(passing.messages)) == (False, ["kept", "yes", "a secret"])
        assert store.ids(connection, OWNER) == [conversation_id]
        assert [content_of(row) for row in tree(connection, kept)] == ["kept", "yes"]
        assert store.one(connection, OWNER, conversation_id).running_entry_id is None


@pytest.mark.parametrize("send_key", [None, "k"])
def test_what_is_not_to_be_kept_needs_no_leave_to_write(database: Database, send_key: str | None) -> None:
    with database.write() as connection:
        begun = Begun(connection)
        kept = begun.start("kept")
        answer(begun, kept, "yes")
    conversation_id = kept.conversation.conversation_id
    with database.read() as connection:
        begun = Begun(connection)
        begun.start("passing", store=False, send_key=send_key)
        begun.go_on(conversation_id, "passing", store=False, send_key=send_key)
        begun.restart(conversation_id, "passing", store=False, send_key=send_key)


def content_of(row: Entry) -> str:
    return str(row.body["content"])


def test_the_projects_instructions_stand_before_the_conversations(database: Database) -> None:
    with database.write() as connection:
        begun = Begun(connection)
        made = projects.add(connection, OWNER, "project", {"name": "p", "instructions": "Of wind."}, 1)
        new = NewConversation(model="m", instructions="Be brief.", project_id=made["project_id"])
        turn = begun.start("hello", new=new)
        assert said(turn.messages)[0] == "Of wind.\n\nBe brief."
        for foreign in (COLLEAGUE, ELSEWHERE):
            with pytest.raises(NotFound) as refused:
                Begun(connection, foreign).start("hello", new=new)
            assert refused.value.param == "project_id"


def test_a_project_that_is_gone_ends_no_conversation(database: Database) -> None:
    with database.write() as connection:
        begun = Begun(connection)
        turn = begun.start("hello", new=NewConversation(model="m", instructions="Be brief."))
        answer(begun, turn, "yes")
        conversation_id = turn.conversation.conversation_id
        store.change(connection, OWNER, conversation_id, {"project_id": "proj_gone"})
        assert said(begun.go_on(conversation_id, "more").messages) == ["Be brief.", "hello", "yes", "more"]


def test_a_turn_goes_on_at_the_head_after_an_entry_or_before_all(database: Database) -> None:
    with database.write() as connection:
        begun = Begun(connection)
        first = begun.start("one")
        answer(begun, first, "a1")
        conversation_id = first.conversation.conversation_id
        second = begun.go_on(conversation_id, "two")
        answer(begun, second, "a2")
        assert said(second.messages) == ["one", "a1", "two"]
        again = begun.go_on(conversation_id, from_entry_id=second.input_ids[0])
        assert (said(again.messages), again.input_ids) == (["one", "a1", "two"], ())
        edited = begun.go_on(conversation_id, "two, edited", from_entry_id=first.output_id, model="other")
        assert said(edited.messages) == ["one", "a1", "two, edited"]
        anew = begun.go_on(conversation_id, "anew", from_entry_id="root")
        assert said(anew.messages) == ["anew"]
        above = {row.entry_id: row.parent_id for row in tree(connection, first)}
        models = {row.entry_id: row.model for row in tree(connection, first)}
        one = store.one(connection, OWNER, conversation_id)
    assert above[again.output_id] == above[second.output_id] == second.input_ids[0]
    assert above[edited.input_ids[0]] == above[second.input_ids[0]] == first.output_id
    assert above[anew.input_ids[0]] is None
    assert one.head_entry_id == anew.output_id
    assert (models[edited.output_id], models[anew.output_id], one.model) == ("other", "m", "m")


def test_entries_of_other_conversations_are_not_gone_on_from(database: Database) -> None:
    with database.write() as connection:
        begun = Begun(connection)
        mine, other = begun.start("one"), begun.start("two")
        begun.end(mine)
        begun.end(other)
        for unknown in (other.output_id, "msg_nothing", ""):
            for verb in (begun.go_on, begun.restart):
                with pytest.raises(NotFound) as refused:
                    verb(mine.conversation.conversation_id, "more", from_entry_id=unknown)
                assert refused.value.param == "from_entry_id"


@pytest.mark.parametrize("stranger", [COLLEAGUE, ELSEWHERE, Owner("elsewhere", "ws", "ada")])
def test_a_stranger_goes_on_with_nothing(database: Database, stranger: Owner) -> None:
    with database.write() as connection:
        begun = Begun(connection)
        turn = begun.start("one")
        foreign = Begun(connection, stranger)
        for verb in (foreign.go_on, foreign.restart):
            with pytest.raises(NotFound):
                verb(turn.conversation.conversation_id, "more")


def test_an_answer_being_written_is_waited_for_and_a_dead_one_is_not(database: Database) -> None:
    with database.write() as connection:
        begun = Begun(connection)
        turn = begun.start("one")
        conversation_id = turn.conversation.conversation_id
        for verb in (begun.go_on, begun.restart):
            with pytest.raises(Conflict) as refused:
                verb(conversation_id, "two")
            assert refused.value.code == "answer_running"
        # Before it, the same question may be answered a second time.
        assert begun.go_on(conversation_id, from_entry_id=turn.input_ids[0]).output_id != turn.output_id
        begun.end(turn)
        assert said(begun.go_on(conversation_id, "two", from_entry_id=turn.output_id).messages) == ["one", "two"]


def test_something_must_wait_for_an_answer(database: Database) -> None:
    with database.write() as connection:
        begun = Begun(connection)
        for kept in (True, False):
            with pytest.raises(InvalidFields) as refused:
                begun.start(store=kept)
            assert refused.value.param == "inputs"
        turn = begun.start("one")
        answer(begun, turn, "a1")
        conversation_id = turn.conversation.conversation_id
        with pytest.raises(InvalidFields):
            begun.go_on(conversation_id)
        with pytest.raises(InvalidFields):
            begun.go_on(conversation_id, from_entry_id="root")
        result = begun.go_on(conversation_id, RESULT)
        assert begun.go_on(conversation_id, from_entry_id=result.input_ids[0]).input_ids == ()
        call = NewEntry(kind="function.call", body={"tool_call_id": "c", "name": "n", "arguments": "{}"})
        called = begun.go_on(conversation_id, call, from_entry_id="root")
        with pytest.raises(InvalidFields):
            begun.go_on(conversation_id, from_entry_id=called.input_ids[0])


def test_ids_say_what_they_name(database: Database) -> None:
    call = NewEntry(kind="function.call", body={"tool_call_id": "c1", "name": "n", "arguments": "{}"})
    with database.write() as connection:
        turn = Begun(connection).start("one", call, RESULT)
    assert [one.partition("_")[0] for one in turn.input_ids] == ["msg", "fc", "fc"]


def test_a_second_sending_is_a_conflict_in_the_same_place_only(database: Database) -> None:
    with database.write() as connection:
        begun = Begun(connection)
        one, two = begun.start("one"), begun.start("two")
        for turn in (one, two):
            answer(begun, turn, "yes")
            answer(begun, begun.go_on(turn.conversation.conversation_id, "more", send_key="k"), "yes")
        with pytest.raises(Conflict) as refused:
            begun.go_on(one.conversation.conversation_id, "more", send_key="k")
        assert refused.value.code == "already_sent"
        begun.start("three", send_key="k")
        with pytest.raises(Conflict) as refused:
            begun.start("three", send_key="k")
        assert refused.value.code == "already_sent"
        Begun(connection, COLLEAGUE).start("three", send_key="k")


def test_a_restart_shares_the_beginning_and_nothing_after_it(database: Database) -> None:
    new = NewConversation(model="m", name="Kept", completion_args={"temperature": 0.5})
    with database.write() as connection:
        begun = Begun(connection)
        first = begun.start("one", new=new)
        answer(begun, first, "a1")
        old_id = first.conversation.conversation_id
        answer(begun, begun.go_on(old_id, "two"), "a2")
        store.change(connection, OWNER, old_id, {"pinned": True, "archived": True})
        before = tree(connection, first)
        turn = begun.restart(old_id, "instead", from_entry_id=first.output_id, completion_args={"temperature": 1.0})
        copied = tree(connection, turn)
        made = store.one(connection, OWNER, turn.conversation.conversation_id)
        assert tree(connection, first) == before
    assert said(turn.messages) == ["one", "a1", "instead"]
    assert [content_of(row) for row in copied] == ["one", "a1", "instead", ""]
    assert [row.parent_id for row in copied] == [None, *(row.entry_id for row in copied[:-1])]
    assert not {row.entry_id for row in copied} & {row.entry_id for row in before}
    assert (made.name, made.pinned, made.archived, made.head_entry_id) == ("Kept", False, False, turn.output_id)
    assert made.completion_args == {"temperature": 1.0}
    assert turn.question is None


@given(st.lists(st.sampled_from(["running", "done", "stopped", "failed"]), max_size=12), st.data())
def test_copies_are_the_same_path_under_ids_of_their_own(statuses: list[str], data: st.DataObject) -> None:
    """What was being written is not written on in the copy."""
    kinds = data.draw(st.lists(st.sampled_from(["message.input", "function.call"]), min_size=12, max_size=12))
    path = [
        entry(kind, body={"content": str(place)}, status=status, number=place)
        for place, (kind, status) in enumerate(zip(kinds, statuses, strict=False))
    ]
    copies = Begun(None).turns.copied(path)  # type: ignore[arg-type]
    assert [one.parent_id for one in copies] == [None, *(one.entry_id for one in copies)][: len(copies)]
    assert not {one.entry_id for one in copies} & {one.entry_id for one in path}
    numbers = [one.number for one in copies]
    assert numbers == sorted(set(numbers))
    assert [one.status for one in copies] == ["interrupted" if status == "running" else status for status in statuses]
    same = {"entry_id": "", "parent_id": None, "number": 0, "status": ""}
    plain = [[msgspec.structs.replace(one, **same) for one in side] for side in (path, copies)]
    assert plain[0] == plain[1]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=parents(10))
def test_whatever_branches_there_are_a_turn_reads_the_path_to_it(database: Database, shape: list[int | None]) -> None:
    """Each turn goes on after the answer of another; the model is asked with exactly the turns above."""
    with database.write() as connection:
        begun = Begun(connection)
        root = begun.start("root")
        answer(begun, root, "root answered")
        conversation_id = root.conversation.conversation_id
        made: list[Turn] = []
        for place, above in enumerate(shape):
            after = "root" if above is None else made[above].output_id
            made.append(begun.go_on(conversation_id, f"q{place}", from_entry_id=after))
            answer(begun, made[-1], f"a{place}")
            above_it = [word for one in path_to(shape, above) for word in (f"q{one}", f"a{one}")]
            assert said(made[-1].messages) == [*above_it, f"q{place}"]
        for place, turn in enumerate(made):
            found = store.path(connection, OWNER, conversation_id, turn.output_id)
            wanted = [word for one in path_to(shape, place) for word in (f"q{one}", f"a{one}")]
            assert [content_of(row) for row in found] == wanted
        assert len(tree(connection, root)) == 2 + 2 * len(shape)


def test_a_path_of_thousands_of_entries_is_read(database: Database) -> None:
    above: str | None = None
    rows = []
    for number in range(3000):
        one = entry(entry_id=new_id("msg"), parent_id=above, number=number + 1)
        rows.append((one, ""))
        above = one.entry_id
    with database.write() as connection:
        begun = Begun(connection)
        turn = begun.start("one")
        conversation_id = turn.conversation.conversation_id
        store.add_entries(connection, OWNER, conversation_id, rows, None)
        assert len(store.path(connection, OWNER, conversation_id, above)) == 3000
        assert len(begun.go_on(conversation_id, "on", from_entry_id=above).messages) == 3001


def test_a_question_with_a_file_is_shown_by_its_text_and_asked_with_the_file(database: Database) -> None:
    part = {"type": "document_url", "document_url": "data:,inside", "document_name": "n.txt"}
    mixed = msgspec.structs.replace(asked(""), body={"content": [{"type": "text", "text": "of it"}, part]})
    with database.write() as connection:
        turn = Begun(connection).start(mixed)
        assert store.one(connection, OWNER, turn.conversation.conversation_id).preview == "of it"
    assert "inside" in said(turn.messages)[0]


def test_no_statement_of_a_later_turn_is_put_together_anew(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes longer than to run it, and the first token waits."""
    made: list[object] = []
    make = BinaryExpression.__init__

    def counted(self: object, *args: object, **fields: object) -> None:
        made.append(args)
        make(self, *args, **fields)  # type: ignore[arg-type]

    with database.write() as connection:
        begun = Begun(connection)
        first = begun.start("hello", send_key="first")
        begun.end(first)
        for number in range(2):
            made.clear()
            monkeypatch.setattr(BinaryExpression, "__init__", counted)
            begun.end(begun.go_on(first.conversation.conversation_id, "hello", send_key=f"later {number}"))
            monkeypatch.undo()
    assert not made
