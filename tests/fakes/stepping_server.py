"""A model server that computes in steps as a continuous-batching engine does, on whatever loop it runs.

A step decodes every running request and prefills up to a chunk of prompt tokens, fairly by share; it takes longer the
more it does. It fails loudly when given more running requests than it has slots. For simulations of the scheduler.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from tramontane.engine.ports import Capacity, Embedded, Load, Prepared
from tramontane.foundation.errors import EngineFailed
from tramontane.foundation.events import ChoiceEnd, Event, Failed, Finished, TextDelta
from tramontane.foundation.nouns import Ask, EmbedAsk, Spend

CHUNK_TOKENS = 128
STEP_S = 0.008
ROW_S = 0.001
PREFILL_TOKEN_S = 0.0006


@dataclass(eq=False)
class _Sequence:
    prepared: Prepared
    share: str
    prompt_left: int
    left: int
    paused: bool = False
    generated: int = 0
    events: list[Event] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, *events: Event) -> None:
        self.events += events
        self.wake.set()


class SteppingServer:
    """`total_generated` and `total_prefilled` count what was computed for everybody."""

    def __init__(self, model: str = "fake", *, slots: int = 48, can_pause: bool = True) -> None:
        self.model = model
        self.capacity = Capacity(slots=slots, context_tokens=8192, can_pause=can_pause)
        self.alive = True
        self.total_generated = 0
        self.total_prefilled = 0
        self.pauses = 0
        self._shares: dict[str, str] = {}
        self._sequences: dict[str, _Sequence] = {}
        self._served: dict[str, int] = {}
        self._spends: dict[str, Spend] = {}
        self._loop: asyncio.Task[None] | None = None

    @property
    def load(self) -> Load:
        return Load(running=len(self._active()), progress=self.total_generated + self.total_prefilled)

    async def prepare(self, ask: Ask, *, namespace: bytes, share: str, weight: int = 1) -> Prepared:
        if not self.alive:
            raise EngineFailed("the server is gone; try again")
        self._shares[ask.id] = share
        return Prepared(ask=ask, prompt_tokens=len(ask.prompt_tokens), max_tokens=ask.limits.max_tokens or 1000)

    async def generate(self, prepared: Prepared) -> AsyncGenerator[Sequence[Event], None]:
        ask = prepared.ask
        sequence = _Sequence(prepared, self._shares.pop(ask.id), prepared.prompt_tokens, prepared.max_tokens)
        self._sequences[ask.id] = sequence
        active = len(self._active())
        assert active <= self.capacity.slots, f"{active} running on {self.capacity.slots} slots"
        if not self.alive:
            sequence.say(Failed("engine_failed", "the server is gone; try again"))
        elif self._loop is None or self._loop.done():
            self._loop = asyncio.get_running_loop().create_task(self._run())
        try:
            while not (sequence.events and isinstance(sequence.events[-1], Finished | Failed)):
                await sequence.wake.wait()
                sequence.wake.clear()
                events, sequence.events = sequence.events, []
                if not events:
                    continue
                yield events
                if isinstance(events[-1], Finished | Failed):
                    return
            yield sequence.events
        finally:
            if self._sequences.pop(ask.id, None) is not None:
                self._spends[ask.id] = _spend(sequence)

    def discard(self, prepared: Prepared) -> None:
        self._shares.pop(prepared.ask.id, None)

    def cancelled_spend(self, request_id: str) -> Spend | None:
        return self._spends.pop(request_id, None)

    async def pause(self, request_id: str) -> None:
        if request_id in self._sequences:
            self._sequences[request_id].paused = True
            self.pauses += 1

    async def resume(self, request_id: str) -> None:
        if request_id in self._sequences:
            self._sequences[request_id].paused = False
            if self.alive and (self._loop is None or self._loop.done()):
                self._loop = asyncio.get_running_loop().create_task(self._run())

    async def embed(self, ask: EmbedAsk) -> Embedded:
        raise NotImplementedError("this server only generates")

    def die(self) -> None:
        """Everything open fails at once."""
        self.alive = False
        for sequence in self._sequences.values():
            sequence.say(Failed("engine_failed", "the server died; try again"))

    async def close(self) -> None:
        if self.alive:
            self.die()

    def _active(self) -> list[_Sequence]:
        return [sequence for sequence in self._sequences.values() if not sequence.paused]

    async def _run(self) -> None:
        while self.alive and (active := [each for each in self._active() if each.left]):
            decoding = [each for each in active if not each.prompt_left]
            chunks = self._chunks([each for each in active if each.prompt_left])
            await asyncio.sleep(STEP_S + ROW_S * len(decoding) + PREFILL_TOKEN_S * sum(chunks.values()))
            if not self.alive:
                return
            for sequence, tokens in chunks.items():
                sequence.prompt_left -= tokens
                self.total_prefilled += tokens
                self._served[sequence.share] = self._served.get(sequence.share, 0) + tokens
            for sequence in decoding + [each for each in chunks if not each.prompt_left]:
                self._token(sequence)

    def _chunks(self, waiting: list[_Sequence]) -> dict[_Sequence, int]:
        """Whose prompt is computed in this step: the least served share first, its oldest request first."""
        budget, chunks = CHUNK_TOKENS, dict[_Sequence, int]()
        if waiting:
            floor = min(self._served.get(each.share, 0) for each in waiting)
            for share in {each.share for each in waiting}:
                self._served[share] = max(self._served.get(share, 0), floor)
        for sequence in sorted(waiting, key=lambda each: self._served[each.share] + each.prompt_left // 1000):
            tokens = min(budget, sequence.prompt_left)
            if tokens:
                chunks[sequence] = tokens
                budget -= tokens
        return chunks

    def _token(self, sequence: _Sequence) -> None:
        sequence.left -= 1
        sequence.generated += 1
        self.total_generated += 1
        sequence.say(TextDelta(0, "x"))
        if not sequence.left:
            self._sequences.pop(sequence.prepared.ask.id, None)
            sequence.say(ChoiceEnd(0, "length"), Finished(_spend(sequence)))


def _spend(sequence: _Sequence) -> Spend:
    prompt_tokens = sequence.prepared.prompt_tokens
    return Spend(
        prompt_tokens=prompt_tokens,
        computed_tokens=prompt_tokens - sequence.prompt_left,
        generated_tokens=sequence.generated,
    )
