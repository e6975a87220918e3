"""Has the model that answered find a name for its conversation; what may be one decides `titles`, what stays the store."""

import asyncio
import logging
from contextlib import aclosing

from tramontane.engine.facade import EngineRoom
from tramontane.features.assistant.answering import Run
from tramontane.features.assistant.titles import title_ask, title_from
from tramontane.foundation.errors import TramontaneError
from tramontane.foundation.events import TextDelta
from tramontane.foundation.ids import new_id
from tramontane.foundation.nouns import Caller

TITLE_WAIT_S = 60.0
_log = logging.getLogger(__name__)


async def name_for(engine: EngineRoom, caller: Caller, run: Run, question: str) -> str:
    """A name, at the latest after a minute: the first words of the question where the model finds none."""
    said = ""
    try:
        async with asyncio.timeout(TITLE_WAIT_S):
            said = await _said(engine, caller, run, question)
    except (TramontaneError, TimeoutError) as error:
        _log.info("conversation %s is named by its question: %s", run.turn.conversation.conversation_id, error)
    return title_from(said, question)


async def _said(engine: EngineRoom, caller: Caller, run: Run, question: str) -> str:
    ask = title_ask(new_id("title"), run.turn.conversation.model, question, run.draft.text)
    answer = await engine.open(caller, ask, dialect="title")
    said: list[str] = []
    try:
        async with aclosing(answer.events()) as batches:
            async for batch in batches:
                said += [event.text for event in batch if isinstance(event, TextDelta)]
    finally:
        await answer.close()
    return "".join(said)
