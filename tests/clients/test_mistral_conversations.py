"""The unmodified official Mistral SDK's conversations against the real server, on a real database of each kind."""

from collections.abc import Iterator

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import HTTPValidationError, SDKError
from mistralai.client.models import (
    FunctionCallEntry,
    FunctionResultEntry,
    MessageInputEntry,
    MessageOutputEntry,
    MessageOutputEvent,
    ResponseDoneEvent,
    ResponseErrorEvent,
    ResponseStartedEvent,
)
from tests.fakes.assistant import COLLEAGUE_KEY, assistant_doors
from tests.fakes.doors import KEY, scripted, serving
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import FakeModelServer

from tramontane.entrypoints.api import build_app
from tramontane.foundation.store.database import Database

GREETING = "Bonjour à tous\u2028 👋"
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.fixture
def url(database: Database) -> Iterator[str]:
    room = FakeRoom(FakeModelServer("fake", script=scripted, slots=64))
    with serving(build_app(assistant_doors(database, room))) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Mistral]:
    with Mistral(api_key=KEY, server_url=url) as opened:
        yield opened


def test_start_append_and_look(client: Mistral) -> None:
    conversations = client.beta.conversations
    begun = conversations.start(
        model="fake", inputs="hello", name="Winds", instructions="Be brief.",
        completion_args={"temperature": 0, "max_tokens": 20}, metadata={"team": "a"},
    )  # fmt: skip
    assert isinstance(begun.outputs[0], MessageOutputEntry)
    assert begun.outputs[0].content == GREETING
    assert begun.usage.total_tokens == begun.usage.prompt_tokens + begun.usage.completion_tokens > 1
    more = conversations.append(conversation_id=begun.conversation_id, inputs=[{"role": "user", "content": "more"}])
    assert more.conversation_id == begun.conversation_id
    one = conversations.get(conversation_id=begun.conversation_id)
    assert (one.name, one.model, one.instructions, one.metadata) == ("Winds", "fake", "Be brief.", {"team": "a"})
    assert (one.completion_args.temperature, one.completion_args.max_tokens) == (0, 20)
    history = conversations.get_history(conversation_id=begun.conversation_id)
    assert [entry.type for entry in history.entries] == ["message.input", "message.output"] * 2
    assert history.entries[0].created_at is not None
    messages = conversations.get_messages(conversation_id=begun.conversation_id)
    assert [entry.content for entry in messages.messages] == ["hello", GREETING, "more", GREETING]
    assert [one.id for one in conversations.list(page=0, page_size=10)] == [begun.conversation_id]
    assert [one.id for one in conversations.list(metadata={"team": "b"})] == []


def test_streams(client: Mistral) -> None:
    conversations = client.beta.conversations
    events = [event.data for event in conversations.start_stream(model="fake", inputs="hello")]
    assert isinstance(events[0], ResponseStartedEvent) and isinstance(events[-1], ResponseDoneEvent)
    assert "".join(one.content for one in events if isinstance(one, MessageOutputEvent)) == GREETING
    assert events[-1].usage.completion_tokens == 5
    again = [
        event.data
        for event in conversations.append_stream(
            conversation_id=events[0].conversation_id, inputs=[MessageInputEntry(role="user", content="again")]
        )
    ]
    assert again[0].conversation_id == events[0].conversation_id
    assert all(type(one).__name__ != "UnknownConversationEventsData" for one in [*events, *again])


async def test_streams_asynchronously(client: Mistral) -> None:
    stream = await client.beta.conversations.start_stream_async(model="fake", inputs="think")
    deltas = [event.data.content async for event in stream if isinstance(event.data, MessageOutputEvent)]
    assert [type(one).__name__ for one in deltas] == ["ThinkChunk", "ThinkChunk", "str", "str"]


def test_restart_and_delete(client: Mistral) -> None:
    conversations = client.beta.conversations
    begun = conversations.start(model="fake", inputs="first")
    conversations.append(conversation_id=begun.conversation_id, inputs="second")
    entries = conversations.get_history(conversation_id=begun.conversation_id).entries
    other = conversations.restart(
        conversation_id=begun.conversation_id, from_entry_id=entries[1].id, inputs="another way"
    )
    assert other.conversation_id != begun.conversation_id
    messages = conversations.get_messages(conversation_id=other.conversation_id).messages
    assert [entry.content for entry in messages] == ["first", GREETING, "another way", GREETING]
    streamed = list(
        conversations.restart_stream(conversation_id=begun.conversation_id, from_entry_id=entries[1].id, inputs="3")
    )
    assert isinstance(streamed[-1].data, ResponseDoneEvent)
    conversations.delete(conversation_id=begun.conversation_id)
    with pytest.raises(SDKError) as refused:
        conversations.get(conversation_id=begun.conversation_id)
    assert refused.value.status_code == 404
    assert len(conversations.list()) == 2


def test_functions(client: Mistral) -> None:
    conversations = client.beta.conversations
    begun = conversations.start(model="fake", inputs="weather?", tools=[TOOL])
    call = begun.outputs[0]
    assert isinstance(call, FunctionCallEntry)
    assert (call.name, call.arguments) == ("weather", '{"city":"Nîmes"}')
    answered = conversations.append(
        conversation_id=begun.conversation_id,
        inputs=[FunctionResultEntry(tool_call_id=call.tool_call_id, result="sunny")],
        completion_args={"tool_choice": "none"},
    )
    assert answered.outputs[0].content == GREETING
    streamed = [event.data for event in conversations.start_stream(model="fake", inputs="weather?", tools=[TOOL])]
    assert [one.type for one in streamed] == [
        "conversation.response.started", "function.call.delta", "conversation.response.done",
    ]  # fmt: skip


def test_nothing_is_kept_of_what_is_not_stored(client: Mistral) -> None:
    answered = client.beta.conversations.start(model="fake", inputs="hello", store=False)
    assert answered.outputs[0].content == GREETING
    assert client.beta.conversations.list() == []


def test_failures_are_the_sdks_own(client: Mistral, url: str) -> None:
    conversations = client.beta.conversations
    events = [event.data for event in conversations.start_stream(model="fake", inputs="fail")]
    assert isinstance(events[-1], ResponseErrorEvent)
    assert (events[-1].code, events[-1].message) == (502, "the server of fake is gone; try again")
    for refused, body in ((HTTPValidationError, {"agent_id": "ag_1"}), (SDKError, {"model": "none"})):
        with pytest.raises(refused):
            conversations.start(inputs="hello", **body)
    mine = conversations.start(model="fake", inputs="mine")
    with Mistral(api_key=COLLEAGUE_KEY, server_url=url) as colleague, pytest.raises(SDKError) as unknown:
        colleague.beta.conversations.append(conversation_id=mine.conversation_id, inputs="let me in")
    assert unknown.value.status_code == 404
