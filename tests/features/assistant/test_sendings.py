"""The name of a sending: the same one twice is a conflict wherever a turn begins, and after a day it is free again."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from tests.features.assistant.rooms import COLLEAGUE, OWNER, Begun

from tramontane.features.assistant import turns
from tramontane.features.assistant.nouns import Numbers
from tramontane.features.assistant.turns import SEND_KEY_NS, Turn, Turns
from tramontane.foundation.errors import Conflict
from tramontane.foundation.store.database import Database

Send = Callable[[Begun, Turn], Turn]
WAYS: dict[str, Send] = {
    "start": lambda begun, _: begun.start("again", send_key="k"),
    "append": lambda begun, first: begun.go_on(
        first.conversation.conversation_id, "again", from_entry_id=first.input_ids[0], send_key="k"
    ),
    "restart": lambda begun, first: begun.restart(
        first.conversation.conversation_id, "again", from_entry_id=first.input_ids[0], send_key="k"
    ),
}


class Clocked(Begun):
    """Its clock stands still until it is moved."""

    time_ns = 1_800_000_000_000_000_000

    def __init__(self, connection: object, owner: object = OWNER) -> None:
        super().__init__(connection, owner)  # type: ignore[arg-type]
        self.turns = Turns(Numbers(self.now_ns), self.now_ns, "run_now", self.live.__contains__)

    def now_ns(self) -> int:
        return self.time_ns


@pytest.mark.parametrize("way", WAYS)
def test_a_second_sending_is_refused_for_a_day_and_no_longer(database: Database, way: str) -> None:
    send = WAYS[way]
    with database.write() as connection:
        begun = Clocked(connection)
        first = begun.start("one")
        sent = send(begun, first)
        for pass_ns in (0, SEND_KEY_NS):
            begun.time_ns += pass_ns
            with pytest.raises(Conflict) as refused:
                send(begun, first)
            assert refused.value.code == "already_sent"
        begun.time_ns += 1
        again = send(begun, first)
        assert again.output_id != sent.output_id
        with pytest.raises(Conflict):
            send(begun, first)


def test_a_sending_is_named_within_its_place_and_its_owner(database: Database) -> None:
    with database.write() as connection:
        begun, other = Clocked(connection), Clocked(connection, COLLEAGUE)
        other.time_ns += 10**9
        for one in (begun, other):
            firsts = one.start("one"), one.start("two")
            one.start("three", send_key="k")
            for first in firsts:
                WAYS["append"](one, first)
                WAYS["restart"](one, first)


def test_one_that_is_not_kept_is_not_remembered(database: Database) -> None:
    with database.write() as connection:
        begun = Clocked(connection)
        first = begun.start("one")
        for _ in range(2):
            begun.restart(
                first.conversation.conversation_id, "x", from_entry_id=first.input_ids[0], send_key="k", store=False
            )


def test_old_names_do_not_pile_up(database: Database) -> None:
    with database.write() as connection:
        begun = Clocked(connection)
        first = begun.start("one")
        for number in range(5):
            begun.go_on(
                first.conversation.conversation_id, "x", from_entry_id=first.input_ids[0], send_key=f"k{number}"
            )
            begun.time_ns += SEND_KEY_NS + 1
        kept = connection.execute(text("SELECT count(*) FROM conversation_entry WHERE send_key IS NOT NULL"))
        assert kept.scalar_one() == 1


def test_a_day_is_a_day() -> None:
    assert turns.SEND_KEY_NS == 86_400 * 10**9
