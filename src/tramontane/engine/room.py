"""The one way into the machine room: every request for compute passes `Engine`, and every one leaves a receipt.

The doors, and later conversations, batches and evaluations, call it. It joins the deciding modules to the moving ones
and decides nothing itself. Knows no HTTP and no dialect.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tramontane.engine.account import Account, Entry
from tramontane.engine.nouns import SECOND_NS, EngineStatus, Policy, RateViews
from tramontane.engine.ports import Embedded, ModelDirectory, ReceiptBook, ServerStarter
from tramontane.engine.seating import Seating
from tramontane.engine.stream import Running
from tramontane.engine.work import Work
from tramontane.foundation.clock import Clock, SystemClock
from tramontane.foundation.errors import Conflict, DeadlineExceeded, EngineFailed, TramontaneError, draining
from tramontane.foundation.events import Failed
from tramontane.foundation.nouns import Ask, Caller, EmbedAsk

TICK_S = 1.0
LAST_MOMENT_S = 2.0


class Engine:
    """Admits, places, queues, streams and accounts. `secret` salts the prefix caches; `jitter` gives numbers 0 to 1.

    Every request leaves exactly one receipt: refused (nothing ran), failed, cancelled or finished. Use on one event loop.
    """

    def __init__(
        self,
        directory: ModelDirectory,
        starter: ServerStarter,
        book: ReceiptBook,
        *,
        secret: bytes,
        policy: Policy | None = None,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.policy = policy or Policy()
        self.clock = clock or SystemClock()
        self._directory = directory
        self._account = Account(book, self.clock)
        self._seating = Seating(
            starter, self._account, secret=secret, policy=self.policy, clock=self.clock, jitter=jitter
        )
        self._opening: dict[str, tuple[asyncio.Task[object], Caller]] = {}
        self._interrupted: dict[str, TramontaneError] = {}
        self._running: dict[str, Running] = {}
        self._draining = False
        self._ticker: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin looking once a second for silent deaths, hangs and idle models."""
        self._ticker = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    async def open(self, caller: Caller, ask: Ask, *, dialect: str = "") -> Running:
        """Admit, place, prepare, queue and dispatch. Returns when the request may run; nothing was sent before.

        Raises NotFound, Forbidden, BadRequest, ContextExceeded, InvalidFields for the ask; RateLimited for the
        caller's rate or full line; Overloaded, ModelUnavailable, DeadlineExceeded, EngineFailed for our side.
        Cancelling the awaiting task leaves the line. What is returned must be read or closed.
        """
        entry = self._account.begin(caller, ask.id, model=ask.model, kind=ask.kind, dialect=dialect)
        async with self._accounted(entry):
            work = self._admit(entry, ask, ask.deadline_ms)
            await self._seating.seat(work)
        running = Running(work, self._seating)
        self._running[ask.id] = running
        work.on_settled = self._running.__delitem__
        return running

    async def embed(self, caller: Caller, ask: EmbedAsk, *, dialect: str = "") -> Embedded:
        """Vectors, through the same line and with the same errors as `open`."""
        entry = self._account.begin(caller, ask.id, model=ask.model, kind="embedding", dialect=dialect)
        async with self._accounted(entry):
            work = self._admit(entry, ask, None)
            await self._seating.seat(work)
            embedded = await self._embed_within(work, ask)
            self._seating.settle(work, "finished", "", embedded.spend)
        return embedded

    async def count(self, caller: Caller, ask: Ask) -> int:
        """Prompt tokens of an ask, without running it. Counts against the caller's requests a minute, leaves no receipt."""
        self._refuse_draining()
        ref = self._directory.resolve(caller, ask.model)
        return await self._seating.count(caller, ask, ref)

    def rates(self, caller: Caller) -> RateViews:
        """The caller's buckets, for the x-ratelimit headers."""
        return self._seating.rates.views(caller, self.clock.monotonic_ns())

    def status(self) -> EngineStatus:
        return EngineStatus(
            draining=self._draining,
            open_requests=self._account.open_count,
            replicas=self._seating.fleet.status(),
            lines={model: line.status() for model, line in self._seating.lines.items()},
            totals=self._account.totals(),
        )

    async def load(self, model: str) -> None:
        """Load now and return once it answers; progress shows in `status()`."""
        ref = self._directory.named(model)
        await self._seating.fleet.ready(ref.name)

    async def unload(self, model: str) -> None:
        """Unload once its requests are over; new ones load it again. Also a model that is in the catalogue no more."""
        await self._seating.fleet.unload(model)

    def cancel(self, request_id: str, caller: Caller) -> bool:
        """Stop one request of the caller's workspace; False when there is none of that id."""
        running = self._running.get(request_id)
        if running is not None and running.workspace_id == caller.workspace_id:
            return running.stop(Failed("cancelled", "the request was cancelled"), "cancelled")
        _, owner = self._opening.get(request_id, (None, None))
        if owner is not None and owner.workspace_id == caller.workspace_id:
            return self._interrupt(request_id, Conflict("the request was cancelled", code="cancelled"))
        return False

    async def drain(self, seconds: float) -> None:
        """Refuse new work, let open requests end for at most `seconds`, stop the rest and all servers."""
        self._draining = True
        if self._ticker is not None:
            self._ticker.cancel()
        if not await self._all_closed(seconds):
            for request_id in list(self._opening):
                self._interrupt(request_id, draining())
            for running in list(self._running.values()):
                running.stop(Failed("draining", "the server had to end this answer; send the request again"), "failed")
            await self._all_closed(LAST_MOMENT_S)
        await self._seating.close()

    async def _all_closed(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._account.all_closed()
        except TimeoutError:
            return False
        return True

    def _admit(self, entry: Entry, ask: Ask | EmbedAsk, deadline_ms: int | None) -> Work:
        self._refuse_draining()
        self._account.ensure_room()
        ref = self._directory.resolve(entry.caller, ask.model)
        total_ns = int(self.policy.total_s * SECOND_NS)
        if deadline_ms is not None:
            total_ns = min(total_ns, deadline_ms * 1_000_000)
        return self._seating.admit(entry, ask, ref, entry.arrived_ns + total_ns)

    def _refuse_draining(self) -> None:
        if self._draining:
            raise draining()

    async def _embed_within(self, work: Work, ask: EmbedAsk) -> Embedded:
        """Embed before the deadline; once more on a replacement when the server died, since nothing was delivered."""
        try:
            return await self._timed(work, work.server.embed(ask))
        except EngineFailed:
            if not self._seating.may_retry(work):
                raise
        await self._seating.seat_again(work)
        return await self._timed(work, work.server.embed(ask))

    async def _timed(self, work: Work, call: Awaitable[Embedded]) -> Embedded:
        left_s = min(self.policy.first_token_s, (work.deadline_ns - self.clock.monotonic_ns()) / SECOND_NS)
        try:
            async with asyncio.timeout(left_s):
                return await call
        except TimeoutError:
            raise DeadlineExceeded("the time allowed for this request has passed; send fewer inputs") from None

    @asynccontextmanager
    async def _accounted(self, entry: Entry) -> AsyncIterator[None]:
        """Whatever is raised inside closes the entry and frees what the work held."""
        task = asyncio.current_task()
        assert task is not None
        self._opening[entry.request_id] = (task, entry.caller)
        try:
            yield
        except asyncio.CancelledError:
            word = self._interrupted.get(entry.request_id)
            self._seating.undo(entry, "refused" if word and word.code == "draining" else "cancelled", "cancelled")
            if word is None or task.uncancel() > 0:
                raise
            raise word from None
        except TramontaneError as error:
            ours = isinstance(error, EngineFailed | DeadlineExceeded)
            self._seating.undo(entry, "failed" if ours else "refused", error.code)
            raise
        except BaseException:
            self._seating.undo(entry, "failed", "internal_error")
            raise
        finally:
            del self._opening[entry.request_id]
            self._interrupted.pop(entry.request_id, None)

    def _interrupt(self, request_id: str, error: TramontaneError) -> bool:
        """Make an `open` or `embed` in progress raise `error`."""
        if request_id in self._interrupted:
            return False
        self._interrupted[request_id] = error
        self._opening[request_id][0].cancel()
        return True

    def _tick(self) -> None:
        self._seating.tick()
        self._ticker = asyncio.get_running_loop().call_later(TICK_S, self._tick)
