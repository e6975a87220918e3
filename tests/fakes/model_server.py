"""A deterministic model server in memory: scripted tokens, failures, pauses, hangs and hostile output on demand.

Knows no process and no model. Time passes only through the injected `sleep`, so a test may run it under a virtual
clock. Everybody's tests use it; the fake engine process wraps it behind the real protocol.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tramontane.engine.ports import Capacity, Embedded, Load, Prepared
from tramontane.foundation.errors import BadRequest, Conflict, ContextExceeded, EngineFailed, InvalidFields
from tramontane.foundation.events import ChoiceEnd, Event, Failed, Finished, TextDelta
from tramontane.foundation.nouns import Ask, EmbedAsk, Message, Spend, TextChunk

DEFAULT_TOKENS = 16
EMBEDDING_SIZE = 8


@dataclass(kw_only=True)
class Answer:
    """How one ask is answered.

    `batches` come one per step without the last word. `die_after` and `hang_after` count batches delivered before the
    server dies or stops for good. `last_words` replaces the proper ending: `()` for none at all, two for one too many.
    """

    batches: Sequence[Sequence[Event]]
    prefill_s: float = 0.0
    step_s: float = 0.0
    failure: Failed | None = None
    die_after: int | None = None
    hang_after: int | None = None
    last_words: tuple[Event, ...] | None = None


Script = Callable[[Ask, int], Answer]


def counting_answer(ask: Ask, max_tokens: int) -> Answer:
    """The default script: every choice counts ` w0 w1 ...` up to `max_tokens`, at most 16 when the ask sets no limit."""
    count = max_tokens if ask.limits.max_tokens is not None else min(max_tokens, DEFAULT_TOKENS)
    batches = [[TextDelta(index, f" w{step}") for index in range(ask.n)] for step in range(count)]
    return Answer(batches=[*batches, [ChoiceEnd(index, "length") for index in range(ask.n)]])


def prompt_words(ask: Ask) -> list[str]:
    """The fake's tokens of a prompt: its words, or one word for every given token id."""
    if ask.prompt_tokens:
        return [str(token) for token in ask.prompt_tokens]
    texts = [ask.prompt, ask.suffix]
    texts += [chunk.text for message in ask.messages for chunk in message.content if isinstance(chunk, TextChunk)]
    return " ".join(texts).split()


def chat_ask(request_id: str, text: str = "hello there", model: str = "fake", **fields: object) -> Ask:
    """A chat ask of one user turn; other fields of Ask by keyword."""
    message = Message(role="user", content=(TextChunk(text),))
    return Ask(id=request_id, model=model, messages=(message,), **fields)  # type: ignore[arg-type]


@dataclass
class _Request:
    prepared: Prepared
    cached: int
    running: asyncio.Event = field(default_factory=asyncio.Event)
    steps: int = 0
    tokens: int = 0
    generating: bool = False
    ended: bool = False


class _Stream(AsyncGenerator[Sequence[Event], None]):
    """A generator that tells when it is over, even when it was closed before it began."""

    def __init__(self, inner: AsyncGenerator[Sequence[Event], None], over: Callable[[], None]) -> None:
        self._inner = inner
        self._over = over

    async def __anext__(self) -> Sequence[Event]:
        try:
            return await anext(self._inner)
        except BaseException:
            self._over()
            raise

    async def asend(self, value: None) -> Sequence[Event]:
        return await self.__anext__()

    async def athrow(self, *error: Any) -> Sequence[Event]:
        try:
            return await self._inner.athrow(*error)
        finally:
            self._over()

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._over()


async def _unprepared(request_id: str) -> AsyncGenerator[Sequence[Event], None]:
    yield [Failed("invalid_request", f"request {request_id} is not prepared; prepare it before generating")]


class FakeModelServer:
    """A ModelServer whose answers come from `script`. `die()` ends it as a killed process would."""

    def __init__(
        self,
        model: str = "fake",
        *,
        script: Script = counting_answer,
        slots: int = 8,
        context_tokens: int = 4096,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.model = model
        self.capacity = Capacity(slots=slots, context_tokens=context_tokens, cache_tokens=65536, can_pause=True)
        self.script = script
        self.asked: list[tuple[Ask, bytes, str, int]] = []
        self.discarded: list[str] = []
        self.most_running = 0
        self._sleep = sleep
        self._slots = asyncio.Semaphore(slots)
        self._requests: dict[str, _Request] = {}
        self._running: set[str] = set()
        self._spends: dict[str, Spend] = {}
        self._seen: set[tuple[bytes, str]] = set()
        self._dead = asyncio.Event()
        self._progress = 0

    @property
    def alive(self) -> bool:
        return not self._dead.is_set()

    @property
    def load(self) -> Load:
        waiting = [request for name, request in self._requests.items() if request.steps == 0]
        return Load(
            running=len(self._running),
            waiting_prefill_tokens=sum(request.prepared.prompt_tokens - request.cached for request in waiting),
            cache_used_tokens=sum(self._requests[name].prepared.prompt_tokens for name in self._running),
            progress=self._progress,
        )

    async def prepare(self, ask: Ask, *, namespace: bytes, share: str, weight: int = 1) -> Prepared:
        self._refuse_when_dead()
        if ask.id in self._requests:
            raise Conflict(f"request {ask.id} is already open; use a fresh id")
        words = prompt_words(ask)
        if not words:
            raise InvalidFields.of("messages", "the prompt is empty; send at least one word")
        room = self.capacity.context_tokens - len(words)
        if room < 1:
            limit = self.capacity.context_tokens
            raise ContextExceeded(
                f"prompt has {len(words)} tokens, the context is {limit}; shorten it", param="messages"
            )
        wanted = ask.limits.max_tokens
        prepared = Prepared(ask=ask, prompt_tokens=len(words), max_tokens=room if wanted is None else min(room, wanted))
        key = (namespace, " ".join(words))
        request = _Request(prepared, cached=len(words) - 1 if key in self._seen else 0)
        request.running.set()
        self._seen.add(key)
        self.asked.append((ask, namespace, share, weight))
        self._requests[ask.id] = request
        return prepared

    def generate(self, prepared: Prepared) -> AsyncGenerator[Sequence[Event], None]:
        request = self._requests.get(prepared.ask.id)
        if request is None or request.generating:
            return _unprepared(prepared.ask.id)
        request.generating = True
        return _Stream(self._generate(request), lambda: self._forget(request))

    async def _generate(self, request: _Request) -> AsyncGenerator[Sequence[Event], None]:
        name = request.prepared.ask.id
        async with self._slots:
            self._running.add(name)
            self.most_running = max(self.most_running, len(self._running))
            async with aclosing(self._answer(request)) as batches:
                async for batch in batches:
                    request.ended = request.ended or isinstance(batch[-1], Finished | Failed)
                    yield batch

    def _forget(self, request: _Request) -> None:
        name = request.prepared.ask.id
        self._running.discard(name)
        if self._requests.pop(name, None) is not None and not request.ended and self.alive:
            self._spends[name] = self._spend(request)

    async def _answer(self, request: _Request) -> AsyncGenerator[Sequence[Event], None]:
        answer = self.script(request.prepared.ask, request.prepared.max_tokens)
        if not await self._pass_time(request, answer.prefill_s):
            yield [self._died()]
            return
        for step, batch in enumerate(answer.batches):
            if step == answer.die_after:
                self.die()
            if step == answer.hang_after:
                await self._dead.wait()
            if not await self._pass_time(request, answer.step_s):
                yield [self._died()]
                return
            request.steps += 1
            request.tokens += sum(getattr(event, "tokens", 0) for event in batch)
            self._progress += 1
            yield batch
        ending = (answer.failure or Finished(self._spend(request)),)
        for event in ending if answer.last_words is None else answer.last_words:
            yield [event]

    async def _pass_time(self, request: _Request, seconds: float) -> bool:
        """Wait for the step and while paused; False when the server died meanwhile."""
        await self._sleep(seconds)
        while not request.running.is_set() and self.alive:
            await request.running.wait()
        return self.alive

    def _spend(self, request: _Request) -> Spend:
        prompt = request.prepared.prompt_tokens
        return Spend(
            prompt_tokens=prompt,
            cached_tokens=request.cached,
            computed_tokens=prompt - request.cached,
            generated_tokens=request.tokens,
            decode_positions=request.tokens,
            cache_reads=request.tokens * prompt,
        )

    def _died(self) -> Failed:
        return Failed("engine_failed", f"the server of {self.model} is gone; try again")

    def _refuse_when_dead(self) -> None:
        if not self.alive:
            raise EngineFailed(f"the server of {self.model} is gone; try again")

    def discard(self, prepared: Prepared) -> None:
        self.discarded.append(prepared.ask.id)
        self._requests.pop(prepared.ask.id, None)

    def cancelled_spend(self, request_id: str) -> Spend | None:
        return self._spends.pop(request_id, None)

    async def pause(self, request_id: str) -> None:
        if request_id in self._requests:
            self._requests[request_id].running.clear()

    async def resume(self, request_id: str) -> None:
        if request_id in self._requests:
            self._requests[request_id].running.set()

    async def embed(self, ask: EmbedAsk) -> Embedded:
        """Unit vectors that depend on each input alone."""
        self._refuse_when_dead()
        if ask.dimensions is not None and ask.dimensions > EMBEDDING_SIZE:
            raise BadRequest(f"dimensions is {ask.dimensions}, the model has {EMBEDDING_SIZE}", param="dimensions")
        await self._sleep(0)
        size = ask.dimensions or EMBEDDING_SIZE
        tokens = sum(len(text.split()) if isinstance(text, str) else len(text) for text in ask.inputs)
        rows = [_unit_vector(repr(text), size) for text in ask.inputs]
        return Embedded(rows=rows, dimensions=size, spend=Spend(prompt_tokens=tokens, computed_tokens=tokens))

    def die(self) -> None:
        """What kill -9 does: everything open ends with Failed, everything new is refused."""
        self._dead.set()
        for request in self._requests.values():
            request.running.set()

    async def close(self) -> None:
        self.die()


def _unit_vector(text: str, size: int) -> bytes:
    digest = hashlib.sha256(text.encode()).digest()
    vector = np.frombuffer(digest[:size], np.uint8).astype("<f4") + 1
    return (vector / np.linalg.norm(vector)).astype("<f4").tobytes()
