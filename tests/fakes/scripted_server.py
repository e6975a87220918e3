"""An OpenAI-compatible server in a thread of its own, whose answers the question chooses; the gateway asks it as any other.

A line of the question may begin with an order: `say:NAME` one of the named texts, `count:N` N numbered words, `slow:N` the
same with a pause after each, `held:N` the same and then nothing until the question is in `released`, `paced:N` words of
Markdown at `tokens_per_s`, `long:BYTES` Markdown of that size, `fail` an error in the middle. Anything else is echoed. It
outlives the gateway, so that a test may kill that one.
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

MODEL = "scripted"
# The same by another name, under which it is said to see images.
SEER = "seer"
ORDER = re.compile(r"^(say|count|slow|held|paced|long|fail):?(\S*)", re.MULTILINE)
# How the gateway begins when it asks for a conversation's title.
TITLE_WANTED = "Write a title"
# How long `slow:` rests between words: long against the machine's own pace, short against a person's patience.
PAUSE_S = 0.05
PARAGRAPH = (
    "The **tramontane** blows from the north; `wind` comes in *gusts* of up to [90 km/h](https://example.org).\n\n"
    "| hour | knots |\n| --- | ---: |\n| 6 | 21 |\n| 12 | 34 |\n\n- one\n- two\n\n```python\nspeed = 34 * 1.852\n```\n\n"
)


class ScriptedServer:
    """`texts` may grow while it runs, by name or by the question itself; `rest_s` slows every word down. `asked` holds the
    last message of each request, `pictures` the images in them, `cancelled` the questions whose answers were cut short."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.asked: list[str] = []
        self.pictures: list[str] = []
        self.title = ""
        self.tokens_per_s = 200.0
        self.rest_s = 0.0
        self.cancelled: list[str] = []
        self.released: set[str] = set()
        self.port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 27)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        return app

    async def _models(self, request: web.Request) -> web.Response:
        card = {"object": "model", "owned_by": "tests", "max_model_len": 1_000_000}
        return web.json_response({"object": "list", "data": [{"id": MODEL, **card}, {"id": SEER, **card}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        question = _text(body["messages"][-1]["content"])
        self.asked.append(question)
        self.pictures += _pictures(body["messages"][-1]["content"])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self._write(response, question)
        except (asyncio.CancelledError, ConnectionError):
            self.cancelled.append(question)
            raise
        return response

    async def _write(self, response: web.StreamResponse, question: str) -> None:
        order, rest = self._order(question)
        loop = asyncio.get_running_loop()
        begun, count = loop.time(), 0
        for word in self._words(order, rest, question):
            await response.write(_chunk({"content": word}))
            count += 1
            if order == "fail" and count == 3:
                await response.write(b'data: {"error": {"message": "the cards ran out"}}\n\n')
                return
            if order == "slow":
                await asyncio.sleep(PAUSE_S)
            elif self.rest_s:
                await asyncio.sleep(self.rest_s)
            elif order == "paced" and (ahead := begun + count / self.tokens_per_s - loop.time()) > 0:
                await asyncio.sleep(ahead)
        # A title is asked for with the question in it: nobody releases that.
        while order == "held" and question.startswith("held") and question not in self.released:
            await self._sign_of_life(response)
        await response.write(_chunk({}, "stop"))
        usage = {"choices": [], "usage": {"prompt_tokens": len(question.split()), "completion_tokens": count}}
        await response.write(b"data: " + json.dumps(usage).encode() + b"\n\ndata: [DONE]\n\n")

    async def _sign_of_life(self, response: web.StreamResponse) -> None:
        """A comment, which only shows whether anybody still listens."""
        await response.write(b": \n\n")
        await asyncio.sleep(PAUSE_S)

    def _order(self, question: str) -> tuple[str, str]:
        if question.startswith(TITLE_WANTED) and self.title:
            return "title", self.title
        found = ORDER.search(question)
        return (found[1], found[2]) if found else ("", "")

    def _words(self, order: str, rest: str, question: str) -> list[str]:
        if order == "fail":
            return ["The ", "beginning ", "of ", "it"]
        if order in ("count", "slow", "held"):
            return [f"word{number} " for number in range(int(rest))]
        if order == "paced":
            words = PARAGRAPH.split(" ")
            return [words[number % len(words)] + " " for number in range(int(rest))]
        if order == "long":
            text = PARAGRAPH * (int(rest) // len(PARAGRAPH) + 1)
            return [text[at : at + 2000] for at in range(0, len(text), 2000)]
        if order == "title":
            return [self.title]
        if order == "say" or question in self.texts:
            return _pieces(self.texts[rest if order == "say" else question])
        return _pieces(f"You said: {question}")


def _pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def _text(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content)
    return str(content)


def _pictures(content: object) -> list[str]:
    parts = content if isinstance(content, list) else []
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def _chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
    chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """Serves on the loopback interface while the context lasts."""
    server = ScriptedServer()
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(server.app(), shutdown_timeout=0.1)

    async def begin() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.port = runner.addresses[0][1]

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
