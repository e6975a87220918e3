"""Owners, entries and trees as the tests of this room make them, and the room's deciding parts over a clock that steps."""

import base64
import itertools
from collections.abc import Sequence

from hypothesis import strategies as st
from sqlalchemy import Connection

from tramontane.features.assistant.nouns import Entry, NewConversation, NewEntry, NewTurn, Numbers, Owner
from tramontane.features.assistant.turns import Turn, Turns
from tramontane.foundation.ids import new_id

OWNER = Owner("org", "ws", "ada")
COLLEAGUE = Owner("org", "ws", "grace")
ELSEWHERE = Owner("org", "other", "ada")
_TICKS = itertools.count(1_800_000_000_000_000_000, 1_000_000)


def now_ns() -> int:
    """A clock that goes on by a millisecond with each look, whoever looks."""
    return next(_TICKS)


def asked(text: str) -> NewEntry:
    return NewEntry(kind="message.input", role="user", body={"content": text})


def turn_of(*inputs: str | NewEntry, **fields: object) -> NewTurn:
    entries = tuple(asked(one) if isinstance(one, str) else one for one in inputs)
    return NewTurn(inputs=entries, **{"request_id": "request", **fields})  # type: ignore[arg-type]


def data_url(content: bytes, kind: str = "text/plain") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def entry(kind: str = "message.input", role: str | None = "user", **fields: object) -> Entry:
    known: dict[str, object] = {"entry_id": new_id("msg"), "parent_id": None, "body": {"content": "words"}}
    return Entry(kind=kind, role=role, **{**known, **fields})  # type: ignore[arg-type]


class Begun:
    """`Turns` over one connection; answers are live until `end` says otherwise."""

    def __init__(self, connection: Connection, owner: Owner = OWNER) -> None:
        self.connection = connection
        self.owner = owner
        self.live: set[str] = set()
        self.turns = Turns(Numbers(now_ns), now_ns, "run_now", self.live.__contains__)

    def start(self, *inputs: str | NewEntry, new: NewConversation | None = None, **fields: object) -> Turn:
        wanted = new or NewConversation(model="m")
        return self._lives(
            self.turns.start(self.connection, self.owner, wanted, turn_of(*inputs, **fields), self._id())
        )

    def go_on(self, conversation_id: str, *inputs: str | NewEntry, **fields: object) -> Turn:
        turn = turn_of(*inputs, **fields)
        return self._lives(self.turns.go_on(self.connection, self.owner, conversation_id, turn, self._id()))

    def restart(self, conversation_id: str, *inputs: str | NewEntry, **fields: object) -> Turn:
        turn = turn_of(*inputs, **fields)
        return self._lives(self.turns.restart(self.connection, self.owner, conversation_id, turn, self._id()))

    def end(self, turn: Turn) -> None:
        """Its answer is written by nobody any more."""
        self.live.discard(turn.output_id)

    def _id(self) -> str:
        return new_id("msg")

    def _lives(self, turn: Turn) -> Turn:
        self.live.add(turn.output_id)
        return turn


def parents(most: int = 25) -> st.SearchStrategy[list[int | None]]:
    """The shape of a forest: for each node the place of its parent, which stands before it, or None."""
    return st.lists(st.integers(0, 10**9), max_size=most).map(
        lambda drawn: [
            None if value % (place + 1) == 0 else value % (place + 1) - 1 for place, value in enumerate(drawn)
        ]
    )


def path_to(shape: Sequence[int | None], place: int | None) -> list[int]:
    """The places from the first node down to this one."""
    above: list[int] = []
    while place is not None:
        above.append(place)
        place = shape[place]
    return above[::-1]
