"""The one object of this room that a door holds: begins turns, runs them through the engine, keeps what comes, names it.

Joins the deciding modules to the database and the engine. Use on one event loop; everything that waits for the disk does so
on the database's own lanes.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection

from tramontane.engine.facade import Answer, EngineRoom
from tramontane.features.assistant import content, quota, store
from tramontane.features.assistant.answering import Run
from tramontane.features.assistant.completion import ask_for
from tramontane.features.assistant.naming import name_for
from tramontane.features.assistant.nouns import Entry, NewConversation, NewTurn, Numbers, Owner, clean
from tramontane.features.assistant.turns import Turn, Turns
from tramontane.features.assistant.words import fold
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import NotFound, TramontaneError
from tramontane.foundation.ids import new_id
from tramontane.foundation.nouns import Caller
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.postgresql import commit_without_waiting

CLOSE_S = 5.0
Result = TypeVar("Result")
_log = logging.getLogger(__name__)
Begin = Callable[[Connection, Owner, str], Turn]


class Assistant:
    """Conversations of one installation. `runner_id` names this start of the gateway in what it writes.

    `most_kept_bytes` bounds what one owner keeps in a workspace.
    """

    def __init__(self, database: Database, engine: EngineRoom, clock: Clock, most_kept_bytes: int) -> None:
        self.database = database
        self.clock = clock
        self.numbers = Numbers(clock.now_ns)
        self.runner_id = new_id("run", 12)
        self._engine = engine
        self._most_kept_bytes = most_kept_bytes
        self._live: set[str] = set()
        self._runs: dict[str, Run] = {}
        self._opening: dict[str, Turn] = {}
        self._unwanted: set[str] = set()
        self._after: set[asyncio.Task[None]] = set()
        self.turns = Turns(self.numbers, clock.now_ns, self.runner_id, self.is_live)

    def is_live(self, entry_id: str | None) -> bool:
        """Whether this answer is being written now. One gateway serves a database, so what it does not write, nobody does."""
        return entry_id in self._live

    def living(self) -> Callable[[str | None], bool]:
        """`is_live` for rows read after this call: an answer that ends while its row is read is none that nobody writes."""
        before = frozenset(self._live)
        return lambda entry_id: entry_id in before or self.is_live(entry_id)

    async def read(self, work: Callable[..., Result], *args: object) -> Result:
        """`work(connection, *args)` in a transaction that only looks. Raises NotFound for an id that cannot be one."""
        _check_ids(args)
        return await self.database.run(self._reading, work, args)

    async def write(self, work: Callable[..., Result], *args: object) -> Result:
        """`work(connection, *args)` in a transaction that changes. Raises NotFound for an id that cannot be one."""
        _check_ids(args)
        return await self.database.run_write(self._writing, work, args)

    async def add(self, work: Callable[..., Result], owner: Owner, *args: object) -> Result:
        """As `write`, for what adds to what its owner keeps. Raises Conflict (history_full) when that is too much."""

        return await self.write(self._within_limit(work), owner, *args)

    async def start(self, caller: Caller, new: NewConversation, turn: NewTurn) -> Run:
        """Begin a conversation. Returns once the engine may run it; nothing is kept of one it refuses."""

        def begin(connection: Connection, owner: Owner, output_id: str) -> Turn:
            return self.turns.start(connection, owner, new, turn, output_id)

        return await self._run(caller, turn, begin)

    async def go_on(self, caller: Caller, conversation_id: str, turn: NewTurn) -> Run:
        """The next turn. A turn the engine refuses stays in the conversation as failed, with the reason."""

        def begin(connection: Connection, owner: Owner, output_id: str) -> Turn:
            return self.turns.go_on(connection, owner, conversation_id, turn, output_id)

        return await self._run(caller, turn, begin)

    async def restart(self, caller: Caller, conversation_id: str, turn: NewTurn) -> Run:
        """A new conversation that shares the beginning of another."""

        def begin(connection: Connection, owner: Owner, output_id: str) -> Turn:
            return self.turns.restart(connection, owner, conversation_id, turn, output_id)

        return await self._run(caller, turn, begin)

    async def stop(self, caller: Caller, conversation_id: str) -> bool:
        """End what is being written in a conversation. Raises NotFound; False when nothing was."""
        owner = Owner.of(caller)
        await self.read(store.one, owner, conversation_id)
        waiting = self._give_up_waiting(owner, conversation_id)
        runs = [run for run in self._runs.values() if run.turn.conversation.conversation_id == conversation_id]
        stopped = [run for run in runs if run.turn.owner == owner and run.stop()]
        for run in stopped:
            await run.finished()
        return bool(stopped) or waiting

    async def forget(self, owner: Owner, conversation_id: str) -> None:
        """Delete a conversation with everything on it. Raises NotFound."""
        self._give_up_waiting(owner, conversation_id)
        for run in [run for run in self._runs.values() if run.turn.conversation.conversation_id == conversation_id]:
            if run.turn.owner == owner:
                await run.abandon()
        await self.write(store.remove, owner, conversation_id)

    async def close(self) -> None:
        """End what is being written, keeping what came, and wait for it."""
        tasks = [asyncio.create_task(run.abandon()) for run in list(self._runs.values())]
        for title in list(self._after):
            title.cancel()
        if tasks or self._after:
            await asyncio.wait([*tasks, *self._after], timeout=CLOSE_S)

    async def keep(self, turn: Turn, body: dict[str, Any]) -> None:
        await self.write(_keep, turn, body)

    async def finish(self, turn: Turn, entries: Sequence[Entry]) -> None:
        await self.write(self._finish, turn, entries)

    async def _run(self, caller: Caller, new: NewTurn, begin: Begin) -> Run:
        begun_ns = self.clock.monotonic_ns()
        output_id = new_id("msg")
        # Marked before it is written, so that another turn that finds the row never takes it for a dead one.
        self._live.add(output_id)
        try:
            return await self._open(caller, new, begin, output_id, begun_ns)
        except BaseException:
            self._live.discard(output_id)
            raise

    async def _open(self, caller: Caller, new: NewTurn, begin: Begin, output_id: str, begun_ns: int) -> Run:
        """The engine is asked while the disk still takes the turn down; nothing goes out before both are there."""
        begin = self._within_limit(begin) if new.store else begin
        turn, saved = await self._begun(new.store, begin, Owner.of(caller), output_id)
        one = turn.conversation
        args = one.completion_args if new.completion_args is None else new.completion_args
        answer: Answer | None = None
        self._opening[output_id] = turn
        try:
            ask = ask_for(new.request_id, one.model, turn.messages, one.tools, args, new.deadline_ms)
            answer = await self._engine.open(caller, ask, dialect="conversations")
            await asyncio.shield(saved)
        except BaseException as error:
            if answer is not None:
                await answer.close()
            self._unwanted.discard(output_id)
            await self._given_up(turn, saved, error)
            raise
        finally:
            del self._opening[output_id]
        run = Run(turn, answer, self, self.clock, begun_ns)
        self._runs[turn.output_id] = run
        run.whenever_over(lambda over: self._over(caller, over))
        if output_id in self._unwanted:
            self._unwanted.discard(output_id)
            run.stop()
        return run

    def _within_limit(self, work: Callable[..., Result]) -> Callable[..., Result]:
        """The same work, undone with Conflict (history_full) when it makes more than its owner may keep."""

        def within(connection: Connection, owner: Owner, *args: object) -> Result:
            with quota.watched(connection) as growth:
                made = work(connection, owner, *args)
            # Who is beyond it may still make less of it, and bring in what is there already.
            if growth.size_bytes > 0 and quota.used(connection, owner) > self._most_kept_bytes:
                raise quota.full(self._most_kept_bytes)
            return made

        return within

    def _give_up_waiting(self, owner: Owner, conversation_id: str) -> bool:
        """Have the turns that still wait for the engine end as soon as it would begin; False when none waits."""
        waiting = [
            turn.output_id
            for turn in self._opening.values()
            if turn.owner == owner and turn.conversation.conversation_id == conversation_id
        ]
        self._unwanted.update(waiting)
        return bool(waiting)

    async def _begun(
        self, stored: bool, begin: Begin, owner: Owner, output_id: str
    ) -> tuple[Turn, "asyncio.Task[Turn]"]:
        """The turn as soon as its rows are written, and the task that ends when they are on the disk."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Turn] = loop.create_future()

        def written(connection: Connection) -> Turn:
            turn = begin(connection, owner, output_id)
            loop.call_soon_threadsafe(_tell, ready, turn)
            return turn

        saved = asyncio.create_task(self.write(written) if stored else self.read(written))
        try:
            await asyncio.wait({saved, ready}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._spawn(self._left(saved))
            raise
        if saved.done():
            return saved.result(), saved
        return ready.result(), saved

    async def _given_up(self, turn: Turn, saved: "asyncio.Task[Turn]", error: BaseException) -> None:
        """What becomes of a turn that will not be answered; its rows must be there before they can change."""
        if isinstance(error, asyncio.CancelledError):
            self._spawn(self._left(saved))
            return
        await asyncio.wait({saved})
        if saved.exception() is None and isinstance(error, TramontaneError):
            await self._refused(turn, error)

    async def _refused(self, turn: Turn, error: TramontaneError) -> None:
        """The engine would not have it: a beginning leaves nothing behind, a later turn stays and says why."""
        if not turn.stored:
            return
        if turn.began:
            with suppress(NotFound):  # it was deleted meanwhile
                await self.write(store.remove, turn.owner, turn.conversation.conversation_id)
        else:
            said = clean(error.message)
            values = {"status": "failed", "error_code": error.code, "error_message": said, "send_key": None}
            await self.write(_close_entry, turn, values, self.clock.now_ns())

    async def _left(self, saved: "asyncio.Task[Turn]") -> None:
        """Whoever asked went away while waiting in line; the question stays."""
        turn = await saved
        if turn.stored:
            await self.write(_close_entry, turn, {"status": "interrupted"}, self.clock.now_ns())

    def _over(self, caller: Caller, run: Run) -> None:
        self._runs.pop(run.turn.output_id, None)
        self._live.discard(run.turn.output_id)
        question = run.turn.question
        if run.turn.stored and question and run.status in ("done", "stopped"):
            self._spawn(self._name(caller, run, question))

    async def _name(self, caller: Caller, run: Run, question: str) -> None:
        name = await name_for(self._engine, caller, run, question)
        await self.write(_name, run.turn, name)

    def _finish(self, connection: Connection, turn: Turn, entries: Sequence[Entry]) -> None:
        owner, conversation_id = turn.owner, turn.conversation.conversation_id
        if store.find(connection, owner, conversation_id, lock=True) is None:
            return  # it was deleted meanwhile
        first, *more = entries
        text = content.text_of(first.body)
        values = {
            "kind": first.kind, "role": first.role, "body": first.body, "status": first.status, "model": first.model,
            "error_code": first.error_code, "error_message": first.error_message, "usage": first.usage,
            "completed_ns": first.completed_ns, "words": fold(text),
        }  # fmt: skip
        rows = []
        parent_id = turn.output_id
        for one in more:
            rows.append((_numbered(one, parent_id, self.numbers.next()), fold(content.text_of(one.body))))
            parent_id = one.entry_id
        # What was answered is kept, whatever the limit.
        store.change_entry(connection, owner, conversation_id, turn.output_id, values)
        store.add_entries(connection, owner, conversation_id, rows, None)
        store.settle(connection, owner, conversation_id, turn.output_id, parent_id, first.completed_ns or 0)

    def _reading(self, work: Callable[..., Result], args: tuple[object, ...]) -> Result:
        with self.database.read() as connection:
            return work(connection, *args)

    def _writing(self, work: Callable[..., Result], args: tuple[object, ...]) -> Result:
        with self.database.write() as connection:
            return work(connection, *args)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._after.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._after.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.warning("after an answer: %s", task.exception())


def _check_ids(args: Sequence[object]) -> None:
    """PostgreSQL takes no zero byte, not even to look for one."""
    if any(isinstance(one, str) and "\x00" in one for one in args):
        raise NotFound("there is nothing of that id")


def _tell(ready: "asyncio.Future[Turn]", turn: Turn) -> None:
    if not ready.done():
        ready.set_result(turn)


def _numbered(one: Entry, parent_id: str, number: int) -> Entry:
    fields = {name: getattr(one, name) for name in Entry.__struct_fields__}
    return Entry(**{**fields, "parent_id": parent_id, "number": number})


def _keep(connection: Connection, turn: Turn, body: dict[str, Any]) -> None:
    # Many answers of one key grow at once, and each holds the count of what it keeps until its commit is over.
    commit_without_waiting(connection)
    store.keep_running(connection, turn.owner, turn.conversation.conversation_id, turn.output_id, body)


def _close_entry(connection: Connection, turn: Turn, values: dict[str, Any], now_ns: int) -> None:
    conversation_id = turn.conversation.conversation_id
    if store.find(connection, turn.owner, conversation_id, lock=True) is None:
        return
    store.change_entry(connection, turn.owner, conversation_id, turn.output_id, {**values, "completed_ns": now_ns})
    store.settle(connection, turn.owner, conversation_id, turn.output_id, turn.output_id, now_ns)


def _name(connection: Connection, turn: Turn, name: str) -> None:
    store.name(connection, turn.owner, turn.conversation.conversation_id, name, fold(name))
