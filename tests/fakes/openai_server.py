"""A small real HTTP server with OpenAI's API over the fake model server, for the upstream adapter.

A prompt may order a fault: `!cut` (hangs up in the middle), `!garbage`, `!error` (an error object in the stream),
`!endless` (a line without end), `!429`, `!401`, `!400`, `!redirect`, `!calls` (tool calls in pieces), `!silent`,
`!unmarked` (no closing mark), `!unended` (nor the last line's end), `!burst` (words and an error in one write).
`saying` gives the deltas of answers in place of the counting, in OpenAI's words, one chunk each.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from aiohttp import web
from tests.fakes.model_server import Answer, FakeModelServer, counting_answer

from tramontane.foundation.errors import TramontaneError
from tramontane.foundation.events import ChoiceEnd, Event, Finished, TextDelta
from tramontane.foundation.nouns import Ask, EmbedAsk, Limits, Message, TextChunk

API_KEY = "secret-of-the-test"
MODEL = "served-model"
REFUSALS = {"!429": 429, "!401": 401, "!400": 400, "!503": 503, "!500": 500, "!404": 404}


class OpenAIServer:
    """One server; `owner` decides which routes besides OpenAI's it offers."""

    def __init__(self, owner: str = "someone", step_s: float = 0.0, context_tokens: int = 4096) -> None:
        self.owner = owner
        self.bodies: list[dict[str, Any]] = []
        self.closed_streams = 0
        self.count = 0
        self.saying: list[dict[str, Any]] = []

        def script(ask: Ask, max_tokens: int) -> Answer:
            answer = counting_answer(ask, max_tokens)
            answer.step_s = step_s
            return answer

        self.model = FakeModelServer(script=script, slots=64, context_tokens=context_tokens)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/v1/chat/completions", self.complete)
        app.router.add_post("/v1/completions", self.complete)
        app.router.add_post("/v1/embeddings", self.embed)
        if self.owner == "vllm":
            app.router.add_post("/tokenize", self.tokenize)
        return app

    async def models(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {API_KEY}":
            return web.json_response({"error": {"message": "bad key"}}, status=401)
        card = {
            "id": MODEL,
            "object": "model",
            "owned_by": self.owner,
            "max_model_len": self.model.capacity.context_tokens,
        }
        return web.json_response({"object": "list", "data": [card]})

    async def tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        words = " ".join(message["content"] for message in body["messages"]).split()
        return web.json_response({"count": len(words), "max_model_len": 4096})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        text = body.get("prompt") or " ".join(str(message.get("content")) for message in body["messages"])
        order = next((word for word in str(text).split() if word.startswith("!")), "")
        if order in REFUSALS:
            error = {"message": f"refused with {REFUSALS[order]}", "type": "x", "param": "messages", "code": None}
            return web.json_response({"error": error}, status=REFUSALS[order], headers={"Retry-After": "7"})
        if order == "!redirect":
            raise web.HTTPTemporaryRedirect("/v1/elsewhere")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self.count += 1
        ask = Ask(
            id=f"inner-{self.count}",
            model=MODEL,
            messages=(Message(role="user", content=(TextChunk(str(text)),)),),
            limits=Limits(max_tokens=body.get("max_tokens")),
            n=body.get("n", 1),
        )
        try:
            prepared = await self.model.prepare(ask, namespace=b"", share="")
        except TramontaneError as error:
            return web.json_response({"error": {"message": error.message, "code": error.code}}, status=400)
        await response.prepare(request)
        answer = self.model.generate(prepared)
        try:
            await self.write(response, answer, order)
        finally:
            self.closed_streams += 1
            await answer.aclose()
        return response

    async def write(self, response: web.StreamResponse, answer: Any, order: str) -> None:
        step = 0
        await response.write(b": hello\n\n")
        if order == "!calls":
            await self.calls(response)
        if order == "!burst":
            words = {"choices": [{"index": 0, "delta": {"content": "as far as it came"}, "finish_reason": None}]}
            failure = b'data: {"error": {"message": "out of cards"}}\n\n'
            await response.write(b"data: " + json.dumps(words).encode() + b"\n\n" + failure)
            return
        if self.saying:
            await self.say(response)
            return
        async for batch in answer:
            for event in batch:
                if order == "!unended" and isinstance(event, ChoiceEnd | Finished):
                    continue
                if chunk := _chunk(event):
                    await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            step += 1
            if order and step == 2 and await self.obey(response, order):
                return
        if order == "!unended":
            await response.write(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}')
        elif order != "!unmarked":
            await response.write(b"data: [DONE]\n\n")

    async def say(self, response: web.StreamResponse) -> None:
        for delta in self.saying:
            chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await response.write(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n')
        await response.write(b"data: [DONE]\n\n")

    async def obey(self, response: web.StreamResponse, order: str) -> bool:
        """Do the ordered harm; true when the answer ends with it."""
        if order == "!cut":
            return True
        if order == "!garbage":
            await response.write(b"data: {not json}\n\n")
        if order == "!error":
            await response.write(b'data: {"error": {"message": "out of cards"}}\n\n')
        if order == "!endless":
            for _ in range(80):
                await response.write(b"x" * 65536)
        if order == "!silent":
            await asyncio.sleep(30)
        return False

    async def calls(self, response: web.StreamResponse) -> None:
        parts = [
            {"index": 0, "id": "call_0", "function": {"name": "look", "arguments": ""}},
            {"index": 0, "function": {"arguments": '{"at": '}},
            {"index": 1, "id": "call_1", "function": {"name": "listen", "arguments": "{}"}},
            {"index": 0, "function": {"arguments": '"sea"}'}},
        ]
        for part in parts:
            chunk = {"choices": [{"index": 0, "delta": {"content": None, "tool_calls": [part]}, "finish_reason": None}]}
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    async def embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        if "!broken" in body["input"]:
            return web.json_response({"data": [{"index": 0, "embedding": ["x"]}]})
        embedded = await self.model.embed(EmbedAsk(id="e", model=MODEL, inputs=tuple(body["input"])))
        data = [
            {"index": index, "embedding": np.frombuffer(row, "<f4").tolist()} for index, row in enumerate(embedded.rows)
        ]
        return web.json_response({"data": data[::-1], "usage": {"prompt_tokens": embedded.spend.prompt_tokens}})


def _chunk(event: Event) -> dict[str, Any] | None:
    if isinstance(event, TextDelta):
        return {"choices": [{"index": event.index, "delta": {"content": event.text}, "finish_reason": None}]}
    if isinstance(event, ChoiceEnd):
        return {"choices": [{"index": event.index, "delta": {}, "finish_reason": event.reason}]}
    if isinstance(event, Finished):
        spend = event.spend
        details = {"cached_tokens": spend.cached_tokens}
        usage = {"prompt_tokens": spend.prompt_tokens, "completion_tokens": spend.generated_tokens}
        return {"choices": [], "usage": {**usage, "prompt_tokens_details": details}}
    return None


@asynccontextmanager
async def serving(server: OpenAIServer) -> AsyncIterator[str]:
    """Its base address on the loopback interface while the context lasts."""
    runner = web.AppRunner(server.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        await runner.cleanup()
