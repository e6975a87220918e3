"""Starting, going on, branching and starting over, whole and streamed, on both databases."""

import asyncio
from typing import Any

import httpx2
import pytest
from tests.entrypoints.api.conversations.talking import GREETING, append, frames, last_ask, start, texts, tree
from tests.fakes.doors import scripted
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import Answer, FakeModelServer
from tests.waiting import until

from tramontane.features.assistant.assistant import Assistant
from tramontane.foundation.errors import ContextExceeded, Overloaded
from tramontane.foundation.events import ChoiceEnd, TextDelta, ToolCallDelta
from tramontane.foundation.nouns import Ask, ImageChunk

NOTE = "data:text/plain;base64,aGVsbG8gZnJvbSBhIGZpbGU="


async def test_a_conversation_is_answered_kept_and_gone_on_with(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    begun = await start(client, instructions="Be kind.")
    assert begun["object"] == "conversation.response"
    assert begun["outputs"][0]["content"] == GREETING
    assert begun["usage"]["total_tokens"] == begun["usage"]["prompt_tokens"] + 5
    again = await append(client, begun["conversation_id"], "and now?")
    assert texts(await last_ask(room)) == [
        ("system", "Be kind."), ("user", "hello"), ("assistant", GREETING), ("user", "and now?"),
    ]  # fmt: skip
    history = (await client.get(f"/v1/conversations/{begun['conversation_id']}/history")).json()
    assert [entry["type"] for entry in history["entries"]] == ["message.input", "message.output"] * 2
    assert history["entries"][-1]["id"] == again["output_entry_id"]
    messages = (await client.get(f"/v1/conversations/{begun['conversation_id']}/messages")).json()
    assert [entry["content"] for entry in messages["messages"]] == ["hello", GREETING, "and now?", GREETING]


async def test_a_stream_says_its_events_and_is_kept_before_its_last_word(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/conversations", json={"model": "fake", "inputs": "hello", "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "[DONE]" not in response.text
    found = frames(response.text)
    assert [found[0]["type"], found[-1]["type"]] == ["conversation.response.started", "conversation.response.done"]
    assert "".join(one["content"] for one in found if one["type"] == "message.output.delta") == GREETING
    shown = await tree(client, found[0]["conversation_id"])
    assert shown["head_entry_id"] == found[0]["output_entry_id"] == shown["entries"][-1]["id"]
    assert (shown["entries"][-1]["status"], shown["entries"][-1]["content"]) == ("done", GREETING)
    assert shown["entries"][-1]["usage"] == found[-1]["usage"]
    speed = found[-1]["usage"]["tramontane"]
    assert speed["finish_reason"] == "stop" and speed["first_token_ms"] >= 0


async def test_thoughts_come_as_chunks_and_are_kept(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    response = await client.post("/v1/conversations", json={"model": "fake", "inputs": "think", "stream": True})
    chunks = [one["content"] for one in frames(response.text) if one["type"] == "message.output.delta"]
    assert [chunk["type"] for chunk in chunks[:2]] == ["thinking", "thinking"]
    conversation_id = frames(response.text)[0]["conversation_id"]
    kept = (await tree(client, conversation_id))["entries"][-1]["content"]
    assert kept[0] == {"type": "thinking", "thinking": [{"type": "text", "text": "let me see"}]}
    assert kept[1] == {"type": "text", "text": "yes it is"}
    await append(client, conversation_id)
    assert [chunk.text for chunk in (await last_ask(room)).messages[1].content] == ["let me see", "yes it is"]


async def test_edit_and_regenerate_make_branches(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    begun = await start(client, "first")
    conversation_id = begun["conversation_id"]
    regenerated = await append(client, conversation_id, [], from_entry_id=begun["input_entry_ids"][0])
    assert texts(await last_ask(room)) == [("user", "first")]
    edited = await append(client, conversation_id, "edited", from_entry_id="root")
    assert texts(await last_ask(room)) == [("user", "edited")]
    shown = await tree(client, conversation_id)
    parents = {entry["id"]: entry["parent_id"] for entry in shown["entries"]}
    assert parents[begun["output_entry_id"]] == parents[regenerated["output_entry_id"]] == begun["input_entry_ids"][0]
    assert parents[edited["input_entry_ids"][0]] is None
    assert shown["head_entry_id"] == edited["output_entry_id"]
    changed = await client.patch(
        f"/v1/conversations/{conversation_id}", json={"head_entry_id": begun["output_entry_id"]}
    )
    assert changed.status_code == 200
    history = (await client.get(f"/v1/conversations/{conversation_id}/history")).json()
    assert [entry["id"] for entry in history["entries"]] == [begun["input_entry_ids"][0], begun["output_entry_id"]]


async def test_restart_shares_the_beginning_in_a_new_conversation(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    begun = await start(client, "first", instructions="Be brief.")
    await append(client, begun["conversation_id"], "second")
    response = await client.post(
        f"/v1/conversations/{begun['conversation_id']}/restart",
        json={"from_entry_id": begun["output_entry_id"], "inputs": "other"},
    )
    assert response.status_code == 200, response.text
    assert response.json()["conversation_id"] != begun["conversation_id"]
    expected = [("system", "Be brief."), ("user", "first"), ("assistant", GREETING), ("user", "other")]
    assert texts(await last_ask(room)) == expected
    old = (await client.get(f"/v1/conversations/{begun['conversation_id']}/history")).json()["entries"]
    new = (await client.get(f"/v1/conversations/{response.json()['conversation_id']}/history")).json()["entries"]
    assert len(old) == len(new) == 4
    assert not {entry["id"] for entry in old} & {entry["id"] for entry in new}


async def test_what_is_not_stored_leaves_nothing(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    answered = await start(client, [{"role": "user", "content": "a"}, {"type": "message.output", "content": "b"},
                                    {"role": "user", "content": "c"}], store=False)  # fmt: skip
    assert answered["outputs"][0]["content"] == GREETING
    assert texts(await last_ask(room)) == [("user", "a"), ("assistant", "b"), ("user", "c")]
    assert (await client.get("/v1/conversations")).json() == []
    assert (await client.get(f"/v1/conversations/{answered['conversation_id']}")).status_code == 404
    kept = await start(client, "kept")
    await append(client, kept["conversation_id"], "not kept", store=False)
    assert texts(await last_ask(room))[0] == ("user", "kept")
    assert len((await tree(client, kept["conversation_id"]))["entries"]) == 2


async def test_functions_are_called_and_their_results_read(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    response = await client.post(
        "/v1/conversations", json={"model": "fake", "inputs": "weather?", "tools": [tool], "stream": True}
    )
    found = frames(response.text)
    call = next(one for one in found if one["type"] == "function.call.delta")
    assert (call["name"], call["arguments"]) == ("weather", '{"city":"Nîmes"}')
    result = {"type": "function.result", "tool_call_id": call["tool_call_id"], "result": "sunny"}
    await append(client, found[0]["conversation_id"], [result], completion_args={"tool_choice": "none"})
    ask = await last_ask(room)
    assert [message.role for message in ask.messages] == ["user", "assistant", "tool"]
    assert ask.messages[1].tool_calls[0].id == ask.messages[2].tool_call_id
    assert [tool.name for tool in ask.tools] == ["weather"]
    kinds = [entry["type"] for entry in (await tree(client, found[0]["conversation_id"]))["entries"]]
    assert kinds == ["message.input", "function.call", "function.result", "message.output"]


async def test_text_and_several_calls_in_one_answer(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    calls = [ToolCallDelta(0, place, f"call{place}abcd", "weather", "{}") for place in range(2)]
    steps = [[TextDelta(0, "let me look")], calls, [ChoiceEnd(0, "tool_calls")]]
    room.servers["fake"].script = lambda ask, most: Answer(batches=steps) if ask.tools else scripted(ask, most)
    tool = {"type": "function", "function": {"name": "weather"}}
    begun = await start(client, "weather?", tools=[tool])
    assert [one["type"] for one in begun["outputs"]] == ["message.output", "function.call", "function.call"]
    shown = await tree(client, begun["conversation_id"])
    assert shown["head_entry_id"] == begun["outputs"][-1]["id"]
    results = [
        {"type": "function.result", "tool_call_id": call.id, "result": "sunny"} for call in calls
    ]  # fmt: skip
    await append(client, begun["conversation_id"], results)
    ask = await last_ask(room)
    assert [message.role for message in ask.messages] == ["user", "assistant", "tool", "tool"]
    assert len(ask.messages[1].tool_calls) == 2


async def test_attached_files_and_images_reach_the_model(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    image = "data:image/png;base64,iVBORw0KGgo="
    content = [
        {"type": "text", "text": "read"},
        {"type": "document_url", "document_url": NOTE, "document_name": "notes\n.txt"},
        {"type": "image_url", "image_url": image},
    ]
    begun = await start(client, [{"role": "user", "content": content}])
    chunks = (await last_ask(room)).messages[0].content
    assert "[file: notes .txt]\nhello from a file\n[end of file]" in chunks[1].text
    assert chunks[2] == ImageChunk(image)
    assert (await tree(client, begun["conversation_id"]))["entries"][0]["content"] == content


@pytest.mark.parametrize(
    ("part", "status"),
    [
        ({"type": "document_url", "document_url": "https://example.org/notes.txt"}, 422),
        ({"type": "image_url", "image_url": "https://example.org/pixel.png"}, 422),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, 422),
        ({"type": "document_url", "document_url": "data:application/pdf;base64,JVBERi0="}, 415),
        ({"type": "document_url", "document_url": "data:text/plain;base64,/////w=="}, 415),
        ({"type": "document_url", "document_url": "data:text/plain;base64,A" + "AAAA" * 400_000}, 413),
        ({"type": "document_url", "document_url": "data:text/plain;base64,!!"}, 422),
        ({"type": "document_url", "document_url": "data:text/plain,50% off"}, 422),
        ({"type": "document_url", "document_url": "data:text/plain;charset=klingon,x"}, 422),
    ],
)
async def test_attachments_that_cannot_be_read_are_refused(
    client: httpx2.AsyncClient, room: FakeRoom, part: dict[str, Any], status: int
) -> None:
    body = {"model": "fake", "inputs": [{"role": "user", "content": [part]}]}
    response = await client.post("/v1/conversations", json=body)
    assert response.status_code == status, response.text
    assert room.asks == []
    assert (await client.get("/v1/conversations")).json() == []


@pytest.mark.parametrize(
    ("body", "field", "word"),
    [
        ({"inputs": "hi"}, "model", "name the model"),
        ({"inputs": "hi", "agent_id": "ag_1"}, "agent_id", "agents"),
        ({"inputs": "hi", "model": "fake", "tools": [{"type": "web_search"}]}, "tools", "function"),
        ({"inputs": "", "model": "fake"}, "inputs", "empty"),
        ({"inputs": [], "model": "fake"}, "inputs", "nothing"),
        ({"inputs": "hi", "model": "fake", "completion_args": {"temperature": 9}}, "completion_args", "1.5"),
        ({"inputs": [{"type": "agent.handoff"}], "model": "fake"}, "inputs", "message.input"),
        ({"inputs": "hi", "model": "fake", "completion_args": {"tool_choice": "any"}}, "completion_args", "tools"),
    ],
)
async def test_what_cannot_be_asked_is_said_by_field(
    client: httpx2.AsyncClient, body: dict[str, Any], field: str, word: str
) -> None:
    response = await client.post("/v1/conversations", json=body)
    assert response.status_code == 422, response.text
    problem = response.json()["detail"][0]
    assert field in problem["loc"] and word in problem["msg"]
    assert (await client.get("/v1/conversations")).json() == []


async def test_a_beginning_the_engine_refuses_leaves_nothing(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    room.refusal = Overloaded("too many wait; try again", retry_after_s=2)
    response = await client.post("/v1/conversations", json={"model": "fake", "inputs": "hello"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert (await client.get("/v1/conversations")).json() == []


async def test_a_later_turn_that_is_too_long_says_so_and_stays(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    begun = await start(client)
    room.refusal = ContextExceeded("prompt has 9000 tokens, the context is 4096; shorten it", param="messages")
    response = await client.post(
        f"/v1/conversations/{begun['conversation_id']}", json={"inputs": "long"}, headers={"idempotency-key": "one"}
    )
    assert response.status_code == 400
    assert "9000" in response.json()["message"] and "4096" in response.json()["message"]
    last = (await tree(client, begun["conversation_id"]))["entries"][-1]
    assert (last["status"], last["error"]["code"]) == ("failed", "context_length_exceeded")
    room.refusal = None
    response = await client.post(
        f"/v1/conversations/{begun['conversation_id']}", json={"inputs": "short"}, headers={"idempotency-key": "one"}
    )
    assert response.status_code == 200, "a turn that never ran does not use its key up"
    assert ("assistant", "") not in texts(await last_ask(room))


async def test_an_answer_that_fails_keeps_what_came(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/conversations", json={"model": "fake", "inputs": "fail", "stream": True})
    found = frames(response.text)
    assert (found[-1]["type"], found[-1]["code"], found[-1]["error"]) == (
        "conversation.response.error", 502, "engine_failed",
    )  # fmt: skip
    last = (await tree(client, found[0]["conversation_id"]))["entries"][-1]
    assert (last["status"], last["content"], last["error"]["code"]) == ("failed", "half", "engine_failed")
    whole = await client.post("/v1/conversations", json={"model": "fake", "inputs": "fail"})
    assert whole.status_code == 502


async def test_a_conversation_is_named_after_its_first_answer(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    begun = await start(client, "what is   a mistral wind and where does it blow exactly?")
    name = await named(client, begun["conversation_id"])
    assert name == "Bonjour à tous"
    title = next(ask for ask in room.asks if isinstance(ask, Ask) and ask.id.startswith("title_"))
    assert (title.sampling.temperature, title.limits.max_tokens) == (0.0, 24)
    titles = len([ask for ask in room.asks if ask.id.startswith("title_")])
    await append(client, begun["conversation_id"])
    await asyncio.sleep(0.05)
    assert len([ask for ask in room.asks if ask.id.startswith("title_")]) == titles == 1


async def test_hostile_titles_give_way_to_the_question(client: httpx2.AsyncClient, room: FakeRoom) -> None:
    def script(ask: Ask, most: int) -> Answer:
        if ask.id.startswith("title_"):
            return Answer(batches=[[TextDelta(0, "<img src=x onerror=alert(1)>")], [ChoiceEnd(0, "stop")]])
        return scripted(ask, most)

    room.servers["fake"] = FakeModelServer("fake", script=script)
    begun = await start(client, "where does the wind blow in the spring of every second year")
    assert await named(client, begun["conversation_id"]) == "where does the wind blow in the spring…"


async def named(client: httpx2.AsyncClient, conversation_id: str) -> str:
    async def name() -> str:
        return (await client.get(f"/v1/conversations/{conversation_id}")).json()["name"]

    return await until(name)


async def test_a_name_of_ones_own_stays(client: httpx2.AsyncClient, assistant: Assistant) -> None:
    begun = await start(client, name="mine")
    await asyncio.sleep(0.1)
    assert (await client.get(f"/v1/conversations/{begun['conversation_id']}")).json()["name"] == "mine"
