"""Several asks answered as one: each passes the engine for itself, their choices are told together.

Every ask is read as soon as it may run, so that none sits on a seat while the others wait in line, and each leaves its
own receipt. Knows no dialect; `generate` calls it where a request holds more than one prompt.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

import msgspec

from tramontane.engine.facade import EngineRoom
from tramontane.foundation.errors import EngineFailed
from tramontane.foundation.events import Event, Failed, Finished
from tramontane.foundation.nouns import Ask, Caller, Spend


class JointAnswer:
    """An `Answer` to all asks of one request. Choice `c` of ask `k` is told as choice `k * n + c`, prompts first.

    The first ask that fails ends them all.
    """

    def __init__(self, engine: EngineRoom, caller: Caller, asks: Sequence[Ask], dialect: str) -> None:
        self.request_id = asks[0].id
        self.model = asks[0].model
        self._engine = engine
        self._caller = caller
        self._dialect = dialect
        self._unopened = len(asks)
        self._ready = asyncio.Event()
        self._refusal: Exception | None = None
        # Short, so that a slow reader holds all of them back as it would hold one.
        self._told: asyncio.Queue[Sequence[Event] | Exception] = asyncio.Queue(len(asks))
        firsts = [sum(ask.n for ask in asks[:place]) for place in range(len(asks))]
        self._tasks = [asyncio.create_task(self._follow(ask, first)) for ask, first in zip(asks, firsts, strict=True)]

    @classmethod
    async def opened(cls, engine: EngineRoom, caller: Caller, asks: Sequence[Ask], dialect: str) -> "JointAnswer":
        """Returns when all asks may run, or as soon as one has something to tell: with few seats the last may run only
        after the first was read. Raises what any ask was refused with until then."""
        answer = cls(engine, caller, asks, dialect)
        try:
            await answer._ready.wait()
            if answer._refusal is not None:
                raise answer._refusal
        except BaseException:
            await answer.close()
            raise
        return answer

    async def events(self) -> AsyncGenerator[Sequence[Event], None]:
        """As an `Answer` tells them; the last word sums what all asks cost. Raises what an ask was refused with."""
        spends: list[Spend] = []
        try:
            while True:
                told = await self._told.get()
                if isinstance(told, Exception):
                    raise told
                word = told[-1]
                if isinstance(word, Failed):
                    yield (*told[:-1], Failed(word.code, word.message, total([*spends, word.spend])))
                    return
                if isinstance(word, Finished):
                    spends.append(word.spend)
                    told = told[:-1]
                    if len(spends) == len(self._tasks):
                        yield (*told, Finished(total(spends)))
                        return
                if told:
                    yield told
        finally:
            await self.close()

    async def close(self) -> None:
        """Cancel what is not over."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, ask: Ask, first: int) -> None:
        try:
            running = await self._engine.open(self._caller, ask, dialect=self._dialect)
            self.model = running.model
            self._unopened -= 1
            if not self._unopened:
                self._ready.set()
            try:
                async with aclosing(running.events()) as batches:
                    await self._relay(batches, first)
            finally:
                await running.close()
        # Whatever it is, the one who reads must get it: this task has nobody else to tell.
        except Exception as error:
            self._refusal = error
            self._ready.set()
            await self._told.put(error)

    async def _relay(self, batches: AsyncGenerator[Sequence[Event], None], first: int) -> None:
        async for batch in batches:
            if not batch:
                continue
            await self._told.put([_moved(event, first) for event in batch])
            self._ready.set()
            if isinstance(batch[-1], Finished | Failed):
                return
        raise EngineFailed("the answer ended without its last word; send the request again")


def _moved(event: Event, first: int) -> Event:
    """The event as one of a choice `first` places further on; last words speak for no choice."""
    if not first or isinstance(event, Finished | Failed):
        return event
    return msgspec.structs.replace(event, index=event.index + first)


def total(spends: Iterable[Spend]) -> Spend:
    """What several asks cost together."""
    rows = [msgspec.structs.astuple(spend) for spend in spends]
    return Spend(**dict(zip(Spend.__struct_fields__, map(sum, zip(*rows, strict=True)), strict=True)))
