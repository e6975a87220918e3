"""A lean streaming client for any OpenAI-compatible server: it must not be what is measured.

One connection a request over a bare asyncio protocol; bytes are searched, never parsed, until the stream has ended.
Knows nothing of workloads (load.py) or of which server it talks to (contestants.py).
"""

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

CONTENT = re.compile(rb'"(?:content|text)":\s?"[^"]')


@dataclass(slots=True)
class Answer:
    """One finished request: seconds since its start, the tokens the server counted, and what went wrong if anything."""

    started: float
    first: float | None = None
    ended: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    tokens: int = 0
    text: str = ""
    error: str | None = None

    @property
    def ttft(self) -> float:
        """Seconds from sending to the first text; NaN when none came."""
        return (self.first - self.started) if self.first else float("nan")


class _Stream(asyncio.Protocol):
    def __init__(self, request: bytes, answer: Answer, done: asyncio.Future[None]) -> None:
        self.request, self.answer, self.done = request, answer, done
        self.body = bytearray()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.body += data
        if self.answer.first is not None or CONTENT.search(data):
            self.answer.first = self.answer.first or now
            self.answer.arrivals.append(now)
        if b"\r\n0\r\n\r\n" in self.body[-16:] or self.body.endswith(b"0\r\n\r\n"):
            self.finish()

    def connection_lost(self, error: Exception | None) -> None:
        self.finish()

    def finish(self) -> None:
        if not self.done.done():
            self.answer.ended = time.perf_counter()
            self.done.set_result(None)
        if self.transport is not None:
            self.transport.close()


async def ask(port: int, path: str, body: dict[str, Any], key: str = "none") -> Answer:
    """POST `body` with streaming on and wait for the end. Never raises for what the server answers."""
    content = json.dumps({**body, "stream": True, "stream_options": {"include_usage": True}}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    answer = Answer(started=time.perf_counter())
    done: asyncio.Future[None] = loop.create_future()
    stream = _Stream(head.encode() + content, answer, done)
    transport, _ = await loop.create_connection(lambda: stream, "127.0.0.1", port)
    try:
        await done
    finally:
        transport.close()
    _read_body(bytes(stream.body), answer)
    return answer


def _read_body(raw: bytes, answer: Answer) -> None:
    head, _, body = raw.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status != [b"200"]:
        answer.error = raw[:600].decode(errors="replace")
        return
    pieces = []
    for line in _dechunk(body).split(b"\n"):
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or choice
            pieces.append(delta.get("content") or delta.get("text") or "")
        usage = event.get("usage")
        if usage:
            answer.prompt_tokens = usage["prompt_tokens"]
            answer.tokens = usage["completion_tokens"]
            answer.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        if "error" in event:
            answer.error = str(event["error"])
    answer.text = "".join(pieces)
    if not answer.tokens and answer.error is None:
        answer.error = "the stream ended without usage"


def _dechunk(body: bytes) -> bytes:
    parts, position = [], 0
    while True:
        end = body.find(b"\r\n", position)
        if end < 0:
            return b"".join(parts) or body
        try:
            size = int(body[position:end], 16)
        except ValueError:
            return body
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + size])
        position = end + 2 + size + 2
