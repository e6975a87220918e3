"""Takes other products' conversations in: recognises the export, reads each conversation, writes what is not here yet.

Importing twice brings nothing twice: each conversation remembers where it came from. A conversation that cannot be read is
named and passed over; settings that the API would not take are named and left behind. Writing goes in small portions, so
that nobody's answers wait behind an import.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection

from tramontane.features.assistant import content, index, quota, store
from tramontane.features.assistant.imports import chatgpt, lechat, openwebui, own
from tramontane.features.assistant.imports.files import documents
from tramontane.features.assistant.imports.nouns import Imported, Node, Problem, SettingsCheck, Unreadable
from tramontane.features.assistant.nouns import Conversation, Entry, Numbers, Owner
from tramontane.features.assistant.titles import first_words
from tramontane.features.assistant.turns import prefix_of
from tramontane.features.assistant.words import fold, fold_all
from tramontane.foundation.errors import BadRequest, TramontaneError
from tramontane.foundation.ids import new_id

PORTION_ENTRIES = 500
PORTION_CHARACTERS = 200_000
MOST_PROBLEMS = 50
IMPORTED_MODEL = "imported"
MANY = 50


class Format(Protocol):
    """One product's export."""

    SOURCE: str

    def recognises(self, data: Any) -> bool: ...

    def conversations(self, data: Any) -> Iterator[Any]: ...

    def read(self, one: Any) -> Imported: ...


FORMATS: tuple[Format, ...] = (own, chatgpt, openwebui, lechat)


class Reading(msgspec.Struct, kw_only=True):
    """What an upload holds: conversations in portions to be written, and what could not be read."""

    source: str
    portions: list[list[Imported]] = []
    problems: list[Problem] = []
    unread: int = 0

    def note(self, problem: Problem) -> None:
        """Keep the first of them; a person reads no thousand."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)

    def refused(self, portion: Sequence[Imported], error: TramontaneError) -> None:
        """The first to say: this portion and those behind it did not come in."""
        place = portion[0].place
        message = f"conversation {place} and those after it: {error.message}"
        self.problems.insert(0, Problem(conversation=place, code=error.code, message=message))


def read_upload(upload: bytes, check: SettingsCheck) -> Reading:
    """Everything in an upload. Blocking and heavy: to be called off the event loop. Raises BadRequest, TooLarge.

    `check` sees every setting of a file before it is kept.
    """
    reading = Reading(source="")
    portion: list[Imported] = []
    weight = 0.0
    for held in documents(upload):
        # A conversation taken along by itself stands in no list.
        data = [held] if isinstance(held, dict) and not own.recognises(held) else held
        found = _format_of(data)
        if found is None:
            continue
        reading.source = reading.source or found.SOURCE
        for place, one in enumerate(found.conversations(data), 1):
            read = _read(found, one, place, reading)
            if read is None:
                continue
            portion.append(_checked(read, place, reading, check))
            weight += _weight(read)
            if weight >= 1:
                reading.portions.append(portion)
                portion, weight = [], 0.0
    if portion:
        reading.portions.append(portion)
    if not reading.source:
        raise BadRequest(
            "this is no export that is known here; send one of ChatGPT (conversations.json or the zip), Le Chat, "
            "Open WebUI or our own",
            code="unknown_export",
        )
    return reading


def _weight(one: Imported) -> float:
    """How much of a portion it is: what takes time is rows, and words for the search."""
    characters = sum(len(content.text_of(node.body)) for node in one.nodes)
    return max(len(one.nodes) / PORTION_ENTRIES, characters / PORTION_CHARACTERS)


def _format_of(data: Any) -> Format | None:
    return next((one for one in FORMATS if one.recognises(data)), None)


def _read(found: Format, one: Any, place: int, reading: Reading) -> Imported | None:
    try:
        read = found.read(one)
        if read.nodes:
            return read
        raise Unreadable("it has no messages that can be shown", "no_messages")
    except Unreadable as error:
        reading.unread += 1
        message = f"conversation {place}: {error}"
        reading.note(Problem(conversation=place, code=error.code, message=message, limit=error.limit))
        return None


def _checked(one: Imported, place: int, reading: Reading, check: SettingsCheck) -> Imported:
    """With the settings that may be kept."""
    kept: dict[str, Any] = {}
    lost: list[str] = []
    for name, value in one.settings.items():
        try:
            kept[name] = check(name, value)
        except TramontaneError:
            lost.append(name)
    if lost:
        message = f"conversation {place}: it came without its {', '.join(lost)}, which are not as the API takes them"
        reading.note(Problem(conversation=place, code="settings_left", message=message, settings=lost))
    return msgspec.structs.replace(one, settings=kept, place=place)


def write_portion(
    connection: Connection, owner: Owner, portion: Sequence[Imported], numbers: Numbers, now_ns: int
) -> int:
    """Write those that are not here yet; gives how many."""
    # Taken first, so that two imports of one person never wait for each other's conversations and this crosswise.
    quota.count(connection, owner, 0)
    taken = store.taken_origins(connection, owner, [one.origin for one in portion])
    written = 0
    for one in portion:
        if one.origin in taken:
            continue
        taken.add(one.origin)
        _write(connection, owner, one, numbers, now_ns)
        written += 1
    return written


def settle(connection: Connection, written: int) -> None:
    """After an import that wrote so many, which is in already whatever becomes of this."""
    if written >= MANY:
        index.count_rows(connection)


def _write(connection: Connection, owner: Owner, one: Imported, numbers: Numbers, now_ns: int) -> None:
    ids = {node.node_id: new_id(prefix_of(node.kind)) for node in one.nodes}
    created_ns = one.created_ns or now_ns
    question = next((content.text_of(node.body) for node in one.nodes if node.role == "user"), "")
    name = one.name or first_words(question)
    kept = Conversation(
        conversation_id=new_id("conv"), owner_id=owner.owner_id, number=numbers.next(), name=name, named_by="import",
        model=one.model or _model_of(one.nodes), description=one.description, instructions=one.instructions,
        pinned=one.pinned, archived=one.archived, origin=one.origin,
        head_entry_id=ids.get(one.head_id or ""), preview=content.preview_of(question), created_ns=created_ns,
        updated_ns=one.updated_ns or created_ns, **one.settings,
    )  # fmt: skip
    store.add(connection, owner, kept, fold(name))
    timed = list(_in_time(one.nodes, numbers, created_ns))
    entries = [_entry(node, ids, number, created_ns) for node, number in timed]
    words = fold_all(content.text_of(node.body) for node, _ in timed)
    store.add_entries(connection, owner, kept.conversation_id, list(zip(entries, words, strict=True)), None)


def _in_time(nodes: Sequence[Node], numbers: Numbers, created_ns: int) -> Iterator[tuple[Node, int]]:
    """The nodes in the order of time, parents first where times are the same, with numbers in that order."""
    last = last_s = 0
    for node in sorted(nodes, key=lambda node: node.created_ns or created_ns):
        time_s = (node.created_ns or created_ns) // 1_000_000_000
        last = last + 1 if time_s == last_s else max(last + 1, numbers.at(time_s * 1_000_000_000))
        last_s = time_s
        yield node, last


def _entry(node: Node, ids: dict[str, str], number: int, created_ns: int) -> Entry:
    time_ns = node.created_ns or created_ns
    return Entry(
        entry_id=ids[node.node_id], parent_id=ids.get(node.parent_id or ""), kind=node.kind, role=node.role,
        body=node.body, number=number, status=node.status, model=node.model, usage=node.usage,
        created_ns=time_ns, completed_ns=time_ns,
    )  # fmt: skip


def _model_of(nodes: Sequence[Node]) -> str:
    return next((node.model for node in reversed(nodes) if node.model), IMPORTED_MODEL)
