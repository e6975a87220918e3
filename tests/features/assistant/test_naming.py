"""A name comes from the model that answered, and from the question when the model refuses, fails or takes too long."""

import asyncio

import pytest
from tests.fakes.assistant import PLENTY
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import Answer, FakeModelServer
from tests.features.assistant.rooms import turn_of

from tramontane.features.assistant import naming
from tramontane.features.assistant.answering import Run
from tramontane.features.assistant.assistant import Assistant
from tramontane.features.assistant.naming import name_for
from tramontane.features.assistant.nouns import NewConversation
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.errors import Overloaded
from tramontane.foundation.events import Failed, TextDelta
from tramontane.foundation.nouns import Ask, Caller
from tramontane.foundation.store.database import Database

CALLER = Caller(organisation_id="org", workspace_id="ws", principal_id="p", key_id="key")
QUESTION = "Where does the mistral blow?"


def room(*words: str, failure: Failed | None = None) -> FakeRoom:
    def script(ask: Ask, max_tokens: int) -> Answer:
        return Answer(batches=[[TextDelta(0, word)] for word in words], failure=failure)

    return FakeRoom(FakeModelServer("fake", script=script))


async def answered(database: Database) -> Run:
    """A run that is over, named by a person so that nothing else asks for a title."""
    assistant = Assistant(database, room("In ", "Provence."), SystemClock(), PLENTY)
    run = await assistant.start(CALLER, NewConversation(model="fake", name="named"), turn_of(QUESTION))
    await run.finished()
    return run


async def test_the_model_is_asked_with_what_was_asked_and_answered(database: Database) -> None:
    namer = room("Winds ", "of Provence")
    assert await name_for(namer, CALLER, await answered(database), QUESTION) == "Winds of Provence"
    (ask,) = namer.asks
    assert isinstance(ask, Ask)
    said = ask.messages[0].content[0].text  # type: ignore[union-attr]
    assert ask.model == "fake" and QUESTION in said and "In Provence." in said


async def test_a_refusal_leaves_the_question(database: Database) -> None:
    namer = room("Winds")
    namer.refusal = Overloaded("too much to do", retry_after_s=1)
    assert await name_for(namer, CALLER, await answered(database), QUESTION) == QUESTION


async def test_whoever_waits_too_long_leaves_the_line(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "TITLE_WAIT_S", 0.01)
    namer = room("Winds")
    namer.hold = asyncio.Event()
    assert await name_for(namer, CALLER, await answered(database), QUESTION) == QUESTION
    assert namer.abandoned == 1


async def test_an_answer_that_breaks_off_before_a_word_leaves_the_question(database: Database) -> None:
    namer = room(failure=Failed("engine_failed", "gone"))
    assert await name_for(namer, CALLER, await answered(database), QUESTION) == QUESTION
    assert namer.answers[0].ended.is_set()
