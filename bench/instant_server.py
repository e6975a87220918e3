"""An OpenAI-compatible server without a model that answers at once: what gateways are measured against.

`python -m bench.instant_server PORT`. The model `instant` gives all its tokens in one go, a turn of the loop for each;
`paced` gives one every PACE_S, as an engine under load does. A plain answer is one short text whatever was asked.
"""

import asyncio
import json
import re
import sys
from typing import Any, cast

import uvloop

PACE_S = 0.04
PLAIN = "The wind that blows from the north is cold and dry."
MAX_TOKENS = re.compile(rb'"max_(?:completion_)?tokens":\s?(\d+)')
STREAMED = re.compile(rb'"stream":\s?true')
PACED = re.compile(rb'"model":\s?"paced"')
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
SHARED = {"id": "chatcmpl-instant", "created": 1, "model": "instant"}


def chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
    """One event, framed for the wire."""
    event = {**SHARED, "object": "chat.completion.chunk", "choices": choices, **more}
    return framed(b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n")


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def delta(reason: str | None, **content: str) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": content, "finish_reason": reason}]


def whole(body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data)


def usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 60, "completion_tokens": tokens, "total_tokens": 60 + tokens}


MODELS = whole(
    {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "bench"} for name in ("instant", "paced")]}
)
PLAIN_ANSWER = whole(
    {
        **SHARED,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": PLAIN}, "finish_reason": "stop"}],
        "usage": usage(12),
    }
)
FIRST = chunk(delta(None, role="assistant", content=""))
TOKENS = [chunk(delta(None, content=f" w{number}")) for number in range(4096)]


class Connection(asyncio.Protocol):
    """One kept connection; requests come one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.received = bytearray()
        self.answering: asyncio.Task[None] | None = None

    def connection_lost(self, error: Exception | None) -> None:
        if self.answering is not None:
            self.answering.cancel()

    def data_received(self, data: bytes) -> None:
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.received[:end]).lower()
        length = re.search(rb"content-length: (\d+)", head)
        whole_bytes = end + 4 + (int(length[1]) if length else 0)
        if len(self.received) < whole_bytes:
            return
        body = bytes(self.received[end + 4 : whole_bytes])
        del self.received[:whole_bytes]
        self.answer(head, body)

    def answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get "):
            self.transport.write(MODELS)
        elif STREAMED.search(body):
            tokens = MAX_TOKENS.search(body)
            self.answering = asyncio.ensure_future(self.stream(int(tokens[1]) if tokens else 16, body))
        else:
            self.transport.write(PLAIN_ANSWER)

    async def stream(self, tokens: int, body: bytes) -> None:
        pace_s = PACE_S if PACED.search(body) else 0
        clock = asyncio.get_running_loop().time
        self.transport.write(STREAM_HEAD + FIRST)
        for token in TOKENS[:tokens]:
            await asyncio.sleep(pace_s and pace_s - clock() % pace_s)  # all streams on one beat, as in an engine's step
            self.transport.write(token)
        last = chunk(delta("length")) + chunk([], usage=usage(tokens)) + framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
        self.transport.write(last)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
