"""Writes a turn down before it is asked: the conversation, what came in, and the entry the answer will fill.

One transaction for all of it. Decides where a turn goes on, and refuses a second sending and a head still being written.
"""

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from tramontane.features.assistant import content, store
from tramontane.features.assistant.nouns import (
    ROOT,
    Conversation,
    Entry,
    NewConversation,
    NewEntry,
    NewTurn,
    Numbers,
    Owner,
)
from tramontane.features.assistant.tables import project
from tramontane.features.assistant.words import MOST_CHARACTERS, fold, fold_all
from tramontane.foundation.errors import Conflict, InvalidFields, NotFound
from tramontane.foundation.ids import new_id
from tramontane.foundation.nouns import Message

SEND_KEY_NS = 24 * 3600 * 1_000_000_000
"""How long a sending is remembered: long enough for every client that tries again, and then its name is free."""
LARGE_TURN = 100_000
MOST_KEPT = 100_000_000
"""Of a conversation, in characters as kept: it is read and shown whole. Counting takes time, so small turns are let by."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn that is written down. `question` is set when the conversation has no name yet."""

    owner: Owner
    conversation: Conversation
    output_id: str
    input_ids: tuple[str, ...]
    head_id: str | None
    messages: tuple[Message, ...]
    stored: bool = True
    began: bool = False
    question: str | None = None


class _Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn stands on: its conversation, the path so far, what the model is told before it. `began`: all is new."""

    owner: Owner
    conversation: Conversation
    before: Sequence[Entry] = ()
    instructions: Sequence[str]
    began: bool = False


class Turns:
    """Begins turns. `is_live` says whether an entry is being written by this very process now."""

    def __init__(self, numbers: Numbers, now_ns: Callable[[], int], runner_id: str, is_live: Callable[[str], bool]):
        self._numbers = numbers
        self._now_ns = now_ns
        self._runner_id = runner_id
        self._is_live = is_live

    def start(self, connection: Connection, owner: Owner, new: NewConversation, turn: NewTurn, output_id: str) -> Turn:
        """A new conversation with its first turn. Raises NotFound for a foreign project, Conflict for a second sending."""
        one = self._fresh(new)
        instructions = [project_instructions(connection, owner, one.project_id), one.instructions or ""]
        ground = _Ground(owner=owner, conversation=one, instructions=instructions, began=True)
        if not turn.store:
            return self._unstored(ground, turn, output_id)
        one = self._added_once(connection, owner, one, turn.send_key and f"send:{turn.send_key}")
        return self._write(connection, msgspec.structs.replace(ground, conversation=one), turn, output_id)

    def go_on(self, connection: Connection, owner: Owner, conversation_id: str, turn: NewTurn, output_id: str) -> Turn:
        """The next turn of a conversation.

        Raises NotFound, Conflict (already_sent, answer_running, conversation_full), InvalidFields.
        """
        one = store.one(connection, owner, conversation_id, lock=turn.store)
        if turn.model is not None:
            one = msgspec.structs.replace(one, model=turn.model)
        # One that is not kept is not remembered either, and runs in a transaction that may not write.
        since_ns = self._now_ns() - SEND_KEY_NS
        key = turn.send_key if turn.store else None
        if key is not None and store.sent_since(connection, owner, conversation_id, key, since_ns):
            raise already_sent(conversation_id)
        _check_room(connection, owner, one, turn)
        before = self._before(connection, owner, one, turn.from_entry_id)
        instructions = _instructions(connection, owner, one)
        ground = _Ground(owner=owner, conversation=one, before=before, instructions=instructions)
        if not turn.store:
            return self._unstored(ground, turn, output_id)
        return self._write(connection, ground, turn, output_id)

    def restart(
        self, connection: Connection, owner: Owner, conversation_id: str, turn: NewTurn, output_id: str
    ) -> Turn:
        """A new conversation with a copy of the old one's entries up to `from_entry_id`, and a turn.

        Raises NotFound, Conflict (already_sent, answer_running, conversation_full), InvalidFields.
        """
        old = store.one(connection, owner, conversation_id, lock=turn.store)  # an answer may be ending on it
        _check_room(connection, owner, old, turn)
        before = self._before(connection, owner, old, turn.from_entry_id)
        now_ns = self._now_ns()
        one = msgspec.structs.replace(
            old, conversation_id=new_id("conv"), number=self._numbers.next(), head_entry_id=None, running_entry_id=None,
            pinned=False, archived=False, origin=None, created_ns=now_ns, updated_ns=now_ns,
        )  # fmt: skip
        if turn.completion_args is not None:
            one = msgspec.structs.replace(one, completion_args=turn.completion_args)
        instructions = _instructions(connection, owner, one)
        ground = _Ground(owner=owner, conversation=one, before=before, instructions=instructions, began=True)
        if not turn.store:
            return self._unstored(ground, turn, output_id)
        one = self._added_once(connection, owner, one, turn.send_key and f"restart:{conversation_id}:{turn.send_key}")
        copies = self.copied(before)
        words = fold_all(content.text_of(copy.body) for copy in copies)
        store.add_entries(connection, owner, one.conversation_id, list(zip(copies, words, strict=True)), None)
        ground = msgspec.structs.replace(ground, conversation=one, before=copies)
        return self._write(connection, ground, turn, output_id)

    def _added_once(self, connection: Connection, owner: Owner, one: Conversation, sending: str | None) -> Conversation:
        """Write a new conversation down under the name of its sending. Raises Conflict for a second one within a day."""
        words = fold(one.name or "")
        if sending is None:
            store.add(connection, owner, one, words)
            return one
        one = msgspec.structs.replace(one, origin=sending)
        begun = store.begun_since(connection, owner, sending, self._now_ns() - SEND_KEY_NS)
        if begun is None:
            try:
                with connection.begin_nested():
                    store.add(connection, owner, one, words)
                    return one
            except IntegrityError:
                # The same sending, begun at the same moment in another transaction, which is over by now.
                begun = store.begun_since(connection, owner, sending, 0)
                if begun is None:
                    raise
        raise already_sent(begun)

    def copied(self, entries: Sequence[Entry]) -> list[Entry]:
        """The same path with ids of its own."""
        copies: list[Entry] = []
        for one in entries:
            parent_id = copies[-1].entry_id if copies else None
            status = "interrupted" if one.status == "running" else one.status
            copy = msgspec.structs.replace(
                one,
                entry_id=new_id(prefix_of(one.kind)),
                parent_id=parent_id,
                number=self._numbers.next(),
                status=status,
            )
            copies.append(copy)
        return copies

    def _fresh(self, new: NewConversation) -> Conversation:
        now_ns = self._now_ns()
        return Conversation(
            conversation_id=new_id("conv"), owner_id="", number=self._numbers.next(), created_ns=now_ns,
            updated_ns=now_ns, named_by="person" if new.name else "", **msgspec.structs.asdict(new),
        )  # fmt: skip

    def _before(
        self, connection: Connection, owner: Owner, one: Conversation, from_entry_id: str | None
    ) -> list[Entry]:
        """The path a turn goes on after."""
        if from_entry_id == ROOT:
            return []
        after = one.head_entry_id if from_entry_id is None else from_entry_id
        entries = store.path(connection, owner, one.conversation_id, after)
        if from_entry_id is not None and not entries:
            raise NotFound("there is no entry of that id in this conversation", param="from_entry_id")
        if entries and entries[-1].status == "running" and self._is_live(entries[-1].entry_id):
            message = "the answer before is still being written; wait for its end or stop it"
            raise Conflict(message, code="answer_running")
        return entries

    def _written(self, inputs: Sequence[NewEntry], parent_id: str | None) -> list[Entry]:
        now_ns, entries = self._now_ns(), []
        for new in inputs:
            one = Entry(
                entry_id=new_id(prefix_of(new.kind)), parent_id=parent_id, number=self._numbers.next(),
                created_ns=now_ns, completed_ns=now_ns, **msgspec.structs.asdict(new),
            )  # fmt: skip
            entries.append(one)
            parent_id = one.entry_id
        return entries

    def _unstored(self, ground: _Ground, turn: NewTurn, output_id: str) -> Turn:
        before = ground.before
        inputs = self._written(turn.inputs, before[-1].entry_id if before else None)
        _check(before, inputs)
        return Turn(
            owner=ground.owner, conversation=ground.conversation, output_id=output_id, input_ids=_ids(inputs),
            head_id=None, messages=content.messages_of([*before, *inputs], ground.instructions), stored=False,
        )  # fmt: skip

    def _write(self, connection: Connection, ground: _Ground, turn: NewTurn, output_id: str) -> Turn:
        owner, one, before = ground.owner, ground.conversation, ground.before
        head_id = before[-1].entry_id if before else None
        inputs = self._written(turn.inputs, head_id)
        _check(before, inputs)
        now_ns = self._now_ns()
        output = Entry(
            entry_id=output_id, parent_id=inputs[-1].entry_id if inputs else head_id, kind="message.output",
            role="assistant", body={"content": ""}, number=self._numbers.next(), status="running", model=one.model,
            runner_id=self._runner_id, created_ns=now_ns,
        )  # fmt: skip
        words = fold_all((content.text_of(new.body) for new in inputs), MOST_CHARACTERS)
        rows = list(zip(inputs, words, strict=True))
        store.add_entries(connection, owner, one.conversation_id, [*rows, (output, "")], turn.send_key)
        values = {"head_entry_id": output_id, "running_entry_id": output_id, "updated_ns": now_ns}
        question = next((content.text_of(new.body) for new in inputs if new.kind == "message.input"), "")
        if question:
            values["preview"] = content.preview_of(question)
        store.change(connection, owner, one.conversation_id, values)
        return Turn(
            owner=owner, conversation=one, output_id=output_id, input_ids=_ids(inputs), head_id=head_id,
            messages=content.messages_of([*before, *inputs], ground.instructions), began=ground.began,
            question=None if one.named_by else question,
        )  # fmt: skip


def prefix_of(kind: str) -> str:
    """How the ids of a kind of entry begin."""
    return "fc" if kind.startswith("function.") else "msg"


def _ids(entries: Sequence[Entry]) -> tuple[str, ...]:
    return tuple(one.entry_id for one in entries)


def already_sent(conversation_id: str) -> Conflict:
    """Says where it went, for whoever lost the first answer."""
    message = "this was sent before and is being answered; read the conversation again"
    return Conflict(message, code="already_sent", details={"conversation_id": conversation_id})


def project_instructions(connection: Connection, owner: Owner, project_id: str | None) -> str:
    """What the project says before the conversation. Raises NotFound for a project that is not the owner's."""
    if project_id is None:
        return ""
    query = select(project.c.instructions).where(
        *store.inside(project, owner), project.c.owner_id == owner.owner_id, project.c.project_id == project_id
    )
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound("there is no project of that id", param="project_id")
    return str(found)


def _instructions(connection: Connection, owner: Owner, one: Conversation) -> list[str]:
    """Those of a kept conversation. A project deleted while the conversation moved into it must not end it for ever."""
    try:
        of_project = project_instructions(connection, owner, one.project_id)
    except NotFound:
        of_project = ""
    return [of_project, one.instructions or ""]


def _check_room(connection: Connection, owner: Owner, one: Conversation, turn: NewTurn) -> None:
    """Without a bound a few hundred large files would fill the memory of whoever reads the conversation."""
    coming = sum(len(msgspec.json.encode(new.body)) for new in turn.inputs)
    if coming > LARGE_TURN and store.kept_characters(connection, owner, one.conversation_id) + coming > MOST_KEPT:
        message = f"a conversation holds at most {MOST_KEPT} characters, files included; begin a new one"
        raise Conflict(message, code="conversation_full")


def _check(before: Sequence[Entry], inputs: Sequence[Entry]) -> None:
    """Something must wait for an answer."""
    last = inputs[-1] if inputs else before[-1] if before else None
    if last is None or (not inputs and last.kind not in ("message.input", "function.result")):
        raise InvalidFields.of("inputs", "there is nothing new to answer; send inputs, or from_entry_id of a question")
