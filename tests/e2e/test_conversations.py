"""Conversations with the real weights: the official client, an engine that is killed, a server that is killed mid-answer."""

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mistralai.client import Mistral
from mistralai.client.models import MessageOutputEvent, ResponseDoneEvent, ResponseErrorEvent
from tests.e2e.conftest import CHAT
from tests.e2e.platform import Platform, run, serving, start, wait_until_loaded
from tests.fakes.scripted_server import MODEL
from tests.waiting import PATIENCE_S, wait_until


@pytest.fixture(scope="module")
def mistral(platform: Platform) -> Mistral:
    return Mistral(api_key=platform.key, server_url=platform.address)


def test_a_conversation_remembers(mistral: Mistral) -> None:
    conversations = mistral.beta.conversations
    args = {"temperature": 0, "max_tokens": 30}
    begun = conversations.start(model=CHAT, inputs="What is the capital of France?", completion_args=args)
    assert "Paris" in begun.outputs[0].content
    events = [
        event.data
        for event in conversations.append_stream(
            conversation_id=begun.conversation_id, inputs="Say its name again.", completion_args=args
        )
    ]
    said = "".join(one.content for one in events if isinstance(one, MessageOutputEvent))
    assert isinstance(events[-1], ResponseDoneEvent)
    assert events[-1].usage.prompt_tokens > begun.usage.prompt_tokens
    messages = conversations.get_messages(conversation_id=begun.conversation_id).messages
    assert [entry.content for entry in messages][-2:] == ["Say its name again.", said]
    assert begun.conversation_id in [one.id for one in conversations.list()]


def test_a_title_is_found_and_accounted_for(mistral: Mistral, platform: Platform) -> None:
    begun = mistral.beta.conversations.start(
        model=CHAT, inputs="Explain how the wind comes to be.", completion_args={"max_tokens": 20}
    )
    name = wait_until(lambda: mistral.beta.conversations.get(conversation_id=begun.conversation_id).name)
    assert 1 <= len(name) <= 81 and "\n" not in name
    mistral.beta.conversations.delete(conversation_id=begun.conversation_id)


def test_a_prompt_too_long_says_both_numbers(mistral: Mistral) -> None:
    begun = mistral.beta.conversations.start(model=CHAT, inputs="Hello", completion_args={"max_tokens": 2})
    with pytest.raises(Exception, match=r"\d+ tokens.*\d+"):
        mistral.beta.conversations.append(conversation_id=begun.conversation_id, inputs="wind " * 9000)


# As long as weights may be got to write.
NUMBERS = "Write the numbers from 1 to 1000, one after the other."


def stream_until(platform: Platform, model: str, inputs: str, ready: threading.Event, pieces: int = 20) -> list[Any]:
    """A long answer; tells when some of it has come, and gives everything that came until the end, whatever the end."""
    found: list[Any] = []
    client = Mistral(api_key=platform.key, server_url=platform.address)
    try:
        stream = client.beta.conversations.start_stream(
            model=model, inputs=inputs, name="long", completion_args={"max_tokens": 4000, "temperature": 0}
        )  # fmt: skip
        for event in stream:
            found.append(event.data)
            if len(found) == pieces:
                ready.set()
    except Exception as error:
        found.append(error)
    finally:
        ready.set()
    return found


def tree(platform: Platform, conversation_id: str) -> dict[str, Any]:
    client = Mistral(api_key=platform.key, server_url=platform.address)
    request = client.sdk_configuration.client.build_request(
        "GET", f"{platform.address}/v1/conversations/{conversation_id}/history?tree=true",
        headers={"authorization": f"Bearer {platform.key}"},
    )  # fmt: skip
    response = client.sdk_configuration.client.send(request)
    return dict(json.loads(response.read()))


def newest(platform: Platform) -> str:
    """The conversation begun last."""
    client = Mistral(api_key=platform.key, server_url=platform.address)
    return str(client.beta.conversations.list(page_size=1)[0].id)


def test_a_killed_engine_leaves_what_came(installed_home: Path) -> None:
    with serving(installed_home) as platform, ThreadPoolExecutor(1) as pool:
        ready = threading.Event()
        answer = pool.submit(stream_until, platform, CHAT, NUMBERS, ready)
        assert ready.wait(PATIENCE_S)
        platform.engine(CHAT).send_signal(signal.SIGKILL)
        events = answer.result(PATIENCE_S)
        assert isinstance(events[-1], ResponseErrorEvent)
        said = "".join(one.content for one in events if isinstance(one, MessageOutputEvent))
        last = tree(platform, events[0].conversation_id)["entries"][-1]
        assert (last["status"], last["content"]) == ("failed", said)


def test_a_killed_server_shows_what_was_saved_when_it_is_back(installed_home: Path) -> None:
    with serving(installed_home) as platform, ThreadPoolExecutor(1) as pool:
        ready = threading.Event()
        answer = pool.submit(stream_until, platform, MODEL, "slow:4000", ready)
        assert ready.wait(PATIENCE_S)
        begun = newest(platform)
        wait_until(lambda: tree(platform, begun)["entries"][-1]["content"])  # it is written down once a second
        platform.process.kill()
        events = answer.result(PATIENCE_S)
        platform.process.wait(30)
        said = "".join(one.content for one in events if isinstance(one, MessageOutputEvent))
        again = start(installed_home)
        try:
            wait_until_loaded(again)
            again.key = platform.key
            last = tree(again, events[0].conversation_id)["entries"][-1]
            assert last["status"] == "interrupted"
            assert last["content"] and said.startswith(last["content"])
            client = Mistral(api_key=again.key, server_url=again.address)
            more = client.beta.conversations.append(
                conversation_id=events[0].conversation_id, inputs="Are you there?", completion_args={"max_tokens": 4}
            )
            assert more.outputs
        finally:
            again.interrupt()
    assert run(installed_home, "usage", "--by", "model").returncode == 0
