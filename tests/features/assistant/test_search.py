"""Search over real indexes of both databases: the latest conversations first, each once, its owner's own and no other's."""

import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event
from tests.features.assistant.rooms import COLLEAGUE, ELSEWHERE, OWNER, entry, now_ns
from tests.postgres import PostgresServer

from tramontane.features.assistant import looking, search, store
from tramontane.features.assistant.nouns import Conversation, Numbers, Owner
from tramontane.features.assistant.tables import kept_bytes
from tramontane.features.assistant.words import MOST_CHARACTERS, fold
from tramontane.foundation.ids import new_id
from tramontane.foundation.progress import silent
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.schema import migrate

NUMBERS = Numbers(now_ns)


def conversation(connection: Connection, owner: Owner = OWNER, name: str | None = None) -> str:
    time_ns = now_ns()
    made = Conversation(
        conversation_id=new_id("conv"), owner_id="", model="m", number=NUMBERS.next(), name=name, created_ns=time_ns,
        updated_ns=time_ns,
    )  # fmt: skip
    store.add(connection, owner, made, fold(name or ""))
    return made.conversation_id


def say(connection: Connection, conversation_id: str, text: str, owner: Owner = OWNER) -> str:
    one = entry(number=NUMBERS.next(), body={"content": text}, created_ns=now_ns())
    store.add_entries(connection, owner, conversation_id, [(one, fold(text))], None)
    return one.entry_id


def found(connection: Connection, looked_for: str, most: int = 10, owner: Owner = OWNER) -> list[str]:
    return [hit.conversation_id for hit in search.find(connection, owner, looked_for, most)]


def test_the_latest_come_first_and_each_once_by_its_latest_hit(database: Database) -> None:
    with database.write() as connection:
        first, second = conversation(connection), conversation(connection)
        say(connection, first, "the mistral of old")
        say(connection, second, "a mistral")
        latest = say(connection, first, "the Mistral again")
        say(connection, first, "nothing more")
        hits = search.find(connection, OWNER, "mistral", 10)
    assert [hit.conversation_id for hit in hits] == [first, second]
    assert hits[0].entry_id == latest
    assert [part["text"] for part in hits[0].snippet if part["hit"]] == ["Mistral"]


def test_every_word_must_be_there_by_its_beginning(database: Database) -> None:
    with database.write() as connection:
        one = conversation(connection)
        say(connection, one, "Où souffle la Tramontane")
        say(connection, one, "the sirocco")
        for looked_for in ("tramon", "SOUFFLE où", "la tra sou", "tramontane!"):
            assert found(connection, looked_for) == [one], looked_for
        # Not the two of them in two entries, nor the end of a word.
        for looked_for in ("tramontane sirocco", "montane", "", "!?", " "):
            assert found(connection, looked_for) == [], looked_for


def test_a_name_is_found_before_texts_and_only_once(database: Database) -> None:
    with database.write() as connection:
        named = conversation(connection, name="Mistral and others")
        say(connection, named, "about the mistral")
        said = conversation(connection)
        say(connection, said, "about the mistral too")
        hits = search.find(connection, OWNER, "mistral", 10)
        assert [(hit.conversation_id, hit.entry_id is None) for hit in hits] == [(named, True), (said, False)]
        assert [part["text"] for part in hits[0].snippet] == ["Mistral", " and others"]
        assert found(connection, "mistral", 1) == [named]
        assert found(connection, "about", 1) == [said]


@pytest.mark.parametrize("other", [COLLEAGUE, ELSEWHERE, Owner("elsewhere", "ws", "ada")])
def test_nobody_finds_what_is_anothers(database: Database, other: Owner) -> None:
    with database.write() as connection:
        say(connection, conversation(connection, other, "the mistral"), "the mistral", other)
        assert found(connection, "mistral") == []
        assert found(connection, other.scope) == []
        assert len(found(connection, "mistral", owner=other)) == 1


def test_what_changed_is_found_by_its_new_words_and_what_went_by_none(database: Database) -> None:
    with database.write() as connection:
        one = conversation(connection, name="Bora")
        changed, kept = say(connection, one, "the mistral"), say(connection, one, "the sirocco")
        values = {"body": {"content": "the levant"}, "words": fold("the levant")}
        store.change_entry(connection, OWNER, one, changed, values)
        store.change(connection, OWNER, one, {"name": "Foehn", "words": fold("Foehn")})
        assert [found(connection, word) for word in ("mistral", "levant", "bora", "foehn")] == [[], [one], [], [one]]
        assert search.find(connection, OWNER, "sirocco", 1)[0].entry_id == kept
        store.remove(connection, OWNER, one)
        assert [found(connection, word) for word in ("levant", "sirocco", "foehn")] == [[], [], []]


def test_a_conversation_with_many_hits_hides_none_of_the_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "CANDIDATES", 5)
    monkeypatch.setattr(looking, "NEAR", 5)
    with database.write() as connection:
        quiet, loud = conversation(connection), conversation(connection)
        say(connection, quiet, "mistral")
        for _ in range(12):
            say(connection, loud, "mistral")
        assert found(connection, "mistral") == [loud, quiet]
        assert found(connection, "mistral", 1) == [loud]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=25),
    most=st.integers(1, 7),
    candidates=st.integers(1, 6),
    near=st.integers(1, 30),
    looks=st.integers(1, 3),
)
def test_looking_back_by_pages_misses_nothing_and_repeats_nothing(
    database: Database, said: Sequence[tuple[int, bool]], most: int, candidates: int, near: int, looks: int
) -> None:
    """As if all hits were walked at once, newest first."""
    with pytest.MonkeyPatch.context() as patched, database.write() as connection:
        patched.setattr(looking, "CANDIDATES", candidates)
        patched.setattr(looking, "NEAR", near)
        patched.setattr(looking, "MOST_LOOKS", looks)
        word = new_id("w").replace("_", "")
        ids = [conversation(connection) for _ in range(6)]
        hits = []
        for place, holds in said:
            entry_id = say(connection, ids[place], f"the {word}" if holds else "nothing")
            if holds:
                hits.append((ids[place], entry_id))
        latest: dict[str, str] = {}
        for conversation_id, entry_id in reversed(hits):
            latest.setdefault(conversation_id, entry_id)
        got = [(hit.conversation_id, hit.entry_id) for hit in search.find(connection, OWNER, word, most)]
    assert got == list(latest.items())[:most]


def test_a_name_that_fills_the_list_leaves_the_texts_unread(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as connection:
        ids = [conversation(connection, name="Mistral") for _ in range(3)]
        monkeypatch.setattr(search, "_in_entries", None)
        assert found(connection, "mistral", 3) == ids[::-1]


def test_what_was_kept_before_the_index_knew_owners_is_found_after(address: str) -> None:
    opened = Database.open(address)
    migrate(opened, silent, target="0006")
    with opened.write() as connection:
        kept_bytes.create(connection)  # a later step's, which writing takes for granted
        one = conversation(connection, name="Bora")
        changed = say(connection, one, "the mistral")
        say(connection, conversation(connection, COLLEAGUE), "the mistral", COLLEAGUE)
        kept_bytes.drop(connection)
    migrate(opened, silent)
    with opened.write() as connection:
        assert found(connection, "mistral") == found(connection, "bora") == [one]
        values = {"body": {"content": "the levant"}, "words": fold("the levant")}
        store.change_entry(connection, OWNER, one, changed, values)
        assert [found(connection, word) for word in ("mistral", "levant")] == [[], [one]]
        store.remove(connection, OWNER, one)
        assert [found(connection, word) for word in ("levant", "bora")] == [[], []]
    opened.close()


@pytest.mark.parametrize(
    ("place", "indexed"), [("latest", False), ("beside others", False), ("every fifth", False), ("long ago", True)]
)
def test_postgresql_asks_its_index_only_for_what_is_not_near(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, place: str, indexed: bool
) -> None:
    """Its index brings every hit before the latest are known: half a second for a word that stands everywhere."""
    monkeypatch.setattr(looking, "NEAR", 10)
    opened, asked = Database.open(postgres.create()), []
    migrate(opened, silent)
    event.listen(opened._engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    with opened.write() as connection:
        for turn in range(30):
            holds = {"every fifth": turn % 5 == 0, "long ago": turn < 10}.get(place, True)
            say(connection, conversation(connection), "the mistral" if holds else "nothing")
            for _ in range(20 if place == "beside others" and turn == 29 else 1):
                say(connection, conversation(connection, COLLEAGUE), "the mistral", COLLEAGUE)
        assert len(found(connection, "mistral", 5)) == 5
    assert any("OFFSET" in statement and "search_entry" in statement for statement in asked) == indexed
    opened.close()


def test_owners_with_the_same_mark_do_not_meet(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's index tells few owners apart; the rest is told by the row."""
    monkeypatch.setattr(Owner, "scope", property(lambda owner: f"osame{owner.owner_id}"))
    monkeypatch.setattr(looking, "NEAR", 1)
    with database.write() as connection:
        one = conversation(connection)
        for owner, place in ((OWNER, one), (COLLEAGUE, conversation(connection, COLLEAGUE, "mistral"))):
            for text in ("the mistral", "nothing", "nothing"):
                say(connection, place, text, owner)
        assert found(connection, "mistral") == [one]
        assert found(connection, "mistral bora") == []


def test_the_longest_text_of_the_rarest_words_can_be_found(database: Database) -> None:
    """All of a text's words fit one row of the index, whatever they are made of."""
    letters = [chr(0x12000 + place) for place in range(300)]
    words = [one + other for one in letters for other in letters]
    with database.write() as connection:
        one = conversation(connection)
        say(connection, one, " ".join(words))
        assert found(connection, words[0]) == found(connection, words[MOST_CHARACTERS // 3 - 1]) == [one]
        assert found(connection, words[-1]) == []


def test_long_bodies_never_stand_in_memory_together(database: Database) -> None:
    with database.write() as connection:
        for _ in range(12):
            say(connection, conversation(connection), "mistral " + "x" * 1_000_000)
    with database.read() as connection:
        tracemalloc.start()
        try:
            hits = search.find(connection, OWNER, "mistral", 20)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert len(hits) == 12
    assert peak < 8_000_000
