"""What conversations cost, in the book of the real machine room: one receipt per request, of whoever asked."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec
import pytest
from tests.entrypoints.api.conversations.talking import CALLER
from tests.fakes.assistant import PLENTY
from tests.fakes.doors import scripted
from tests.fakes.engine_world import Book, Directory, Starter
from tests.fakes.model_server import FakeModelServer
from tests.features.assistant.rooms import turn_of
from tests.waiting import until

from tramontane.engine.nouns import Policy
from tramontane.engine.room import Engine
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.nouns import NewConversation, Owner
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import NotFound
from tramontane.foundation.store.database import Database

ADA = msgspec.structs.replace(CALLER, principal_id="usr_ada", key_id=None, person_id="usr_ada")
NEW = NewConversation(model="fake")


class House(NamedTuple):
    assistant: Assistant
    book: Book

    def told(self) -> list[tuple[str, str]]:
        """What each receipt is about and how it ended; all of them Ada's."""
        assert all(receipt.caller == ADA for receipt in self.book.receipts)
        ids = [receipt.request_id for receipt in self.book.receipts]
        assert len(set(ids)) == len(ids)
        return sorted((receipt.dialect, receipt.outcome) for receipt in self.book.receipts)

    async def settled(self, number: int) -> list[tuple[str, str]]:
        """Once there are that many, and no more are under way."""
        await until(lambda: len(self.book.receipts) >= number)
        await self.assistant.close()
        assert sorted(self.book.begun) == sorted(receipt.request_id for receipt in self.book.receipts)
        return self.told()


@pytest.fixture
async def house(database: Database) -> AsyncIterator[House]:
    book = Book()
    starter = Starter(lambda model: FakeModelServer(model, script=scripted, slots=4))
    engine = Engine(Directory("fake"), starter, book, secret=b"s" * 32, policy=Policy(), jitter=lambda: 0.0)
    assistant = Assistant(database, engine, SystemClock(), PLENTY)
    yield House(assistant, book)
    await assistant.close()


async def test_an_answer_and_its_title_leave_one_each(house: House) -> None:
    run = await house.assistant.start(ADA, NEW, turn_of("hello", request_id="request-1"))
    await run.finished()
    assert await house.settled(2) == [("conversations", "finished"), ("title", "finished")]


async def test_a_second_turn_names_nothing(house: House) -> None:
    first = await house.assistant.start(ADA, NEW, turn_of("hello", request_id="request-1"))
    await first.finished()
    await until(lambda: len(house.book.receipts) == 2)
    again = await house.assistant.go_on(
        ADA, first.turn.conversation.conversation_id, turn_of("hello", request_id="request-2")
    )
    await again.finished()
    await asyncio.sleep(0.05)
    told = await house.settled(3)
    assert told == [("conversations", "finished")] * 2 + [("title", "finished")]


async def test_what_is_not_kept_is_paid_for_and_not_named(house: House) -> None:
    run = await house.assistant.start(ADA, NEW, turn_of("hello", request_id="request-1", store=False))
    await run.finished()
    await asyncio.sleep(0.05)
    assert await house.settled(1) == [("conversations", "finished")]


async def test_a_stop_leaves_one_and_what_was_stopped_is_named(house: House) -> None:
    run = await house.assistant.start(ADA, NEW, turn_of("endless", request_id="request-1"))
    await until(lambda: run.draft.tokens >= 3)
    assert await house.assistant.stop(ADA, run.turn.conversation.conversation_id)
    assert not await house.assistant.stop(ADA, run.turn.conversation.conversation_id)
    assert await house.settled(2) == [("conversations", "cancelled"), ("title", "finished")]
    (stopped,) = [one for one in house.book.receipts if one.dialect == "conversations"]
    assert stopped.spend.generated_tokens >= run.draft.tokens


async def test_deleting_what_is_being_written_leaves_one_and_names_nothing(house: House) -> None:
    run = await house.assistant.start(ADA, NEW, turn_of("endless", request_id="request-1"))
    await until(lambda: run.draft.tokens >= 3)
    await house.assistant.forget(Owner.of(ADA), run.turn.conversation.conversation_id)
    await asyncio.sleep(0.05)
    assert await house.settled(1) == [("conversations", "cancelled")]


async def test_a_refused_turn_leaves_its_refusal(house: House) -> None:
    with pytest.raises(NotFound):
        await house.assistant.start(ADA, NewConversation(model="absent"), turn_of("hello", request_id="request-1"))
    assert await house.settled(1) == [("conversations", "refused")]
