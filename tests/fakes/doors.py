"""Doors over a fake room with scripted answers, and a real uvicorn in a thread to reach them through."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import uvicorn
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import Answer, FakeModelServer, counting_answer

from tramontane.entrypoints.api import Doors, ModelCard
from tramontane.foundation.errors import Unauthenticated
from tramontane.foundation.events import (
    Candidate,
    ChoiceEnd,
    Event,
    Failed,
    TextDelta,
    ThinkingDelta,
    TokenChoice,
    ToolCallDelta,
)
from tramontane.foundation.nouns import Ask, Caller, TextChunk

KEY = "tm_test_key"
OTHER_KEY = "tm_other_key"
USAGE_KEY = "tm_usage_key"  # may look and not ask
CARDS = (
    ModelCard(
        name="fake",
        aliases=("mistral-small-latest",),
        description="counts words",
        created_s=1_700_000_000,
        context_tokens=4096,
        capabilities=frozenset({"chat", "fim", "function_calling", "embedding"}),
    ),
)


def last_text(ask: Ask) -> str:
    """The last user turn of a chat, or the prompt."""
    if ask.kind != "chat":
        return ask.prompt
    chunks = ask.messages[-1].content
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


def _pieces(index: int, words: Sequence[str], *, logprobs: bool = False) -> list[TextDelta]:
    deltas = []
    for number, word in enumerate(words):
        taken = Candidate(word, word.encode(), -0.25, number)
        choices = (TokenChoice(taken, (taken, Candidate("other", b"other", -2.5, 99))),) if logprobs else None
        deltas.append(TextDelta(index, word, 1, choices))
    return deltas


def scripted(ask: Ask, max_tokens: int) -> Answer:
    """Answers chosen by what is asked: tools, JSON, thoughts, failures; else the words of a greeting."""
    text = last_text(ask)
    if ask.tools and ask.tool_choice.mode != "none":
        call = ToolCallDelta(0, 0, "abcDEF123", ask.tools[0].name, '{"city":"Nîmes"}')
        return Answer(batches=[[call], [ChoiceEnd(0, "tool_calls")]])
    if ask.answer.kind != "text":
        return Answer(batches=[*([piece] for piece in _pieces(0, ['{"name":', '"Ada",', '"age":', "36}"])), [_stop(0)]])
    if text == "think":
        batches: list[list[Event]] = [
            [ThinkingDelta(0, "let me ")],
            [ThinkingDelta(0, "see", 1, True)],
            [TextDelta(0, "yes")],
            [TextDelta(0, " it is")],
        ]
        return Answer(batches=[*batches, [_stop(0)]])
    if text == "fail":
        failure = Failed("engine_failed", "the server of fake is gone; try again")
        return Answer(batches=[[TextDelta(0, "half")]], failure=failure)
    if text == "fail at once":
        return Answer(batches=[], failure=Failed("engine_failed", "the server of fake is gone; try again"))
    if text == "endless":
        return Answer(batches=[[TextDelta(0, " on")]] * 100_000, step_s=0.01)
    if text == "silent":
        return Answer(batches=[[TextDelta(0, " on")]], step_s=3600)
    if text == "count":
        return counting_answer(ask, max_tokens)
    words = ["Bon", "jour", " à tous", "\u2028", " 👋"]
    rows = [_pieces(index, words, logprobs=ask.logprobs is not None) for index in range(ask.n)]
    steps: list[list[Event]] = [list(step) for step in zip(*rows, strict=True)]
    return Answer(batches=[*steps, [_stop(index) for index in range(ask.n)]])


def _stop(index: int) -> ChoiceEnd:
    return ChoiceEnd(index, "stop")


def caller_named(workspace: str) -> Caller:
    return Caller(
        organisation_id="org", workspace_id=workspace, principal_id="someone", key_id=f"key-{workspace}",
        roles=frozenset({"inference"}),
    )  # fmt: skip


async def authenticate(secret: str) -> Caller:
    known = {KEY: "ws_one", OTHER_KEY: "ws_two"}
    if secret == USAGE_KEY:
        return msgspec.structs.replace(caller_named("ws_one"), roles=frozenset({"usage"}))
    if secret not in known:
        raise Unauthenticated("the key is unknown, revoked or expired; ask for a new one")
    return caller_named(known[secret])


async def cards_of(caller: Caller) -> Sequence[ModelCard]:
    """The second workspace has a model of its own that the first must not see."""
    own = ModelCard(name="private", capabilities=frozenset({"chat"}))
    return (*CARDS, own) if caller.workspace_id == "ws_two" else CARDS


def fake_doors(room: FakeRoom | None = None, **fields: Any) -> Doors:
    """Doors over `room`, by default one fake model with scripted answers."""
    engine = room or FakeRoom(FakeModelServer("fake", script=scripted, slots=256))
    return Doors(engine=engine, authenticate=authenticate, models=cards_of, **fields)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """A real server on a free loopback port, in a thread; yields its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, loop="uvloop", http="httptools", access_log=False, log_level="error", lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            thread.join(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            server.force_exit = True
            thread.join(10)
