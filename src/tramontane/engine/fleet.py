"""Keeps the servers: loads a model on first use, replaces a dead one, unloads idle ones, and quarantines crash loops.

The moving half of placement: what a death means and who makes room is decided in `replicas` and `placement`. Knows no
requests, only how many hold a server. The room calls it and is told through `changed` when a model's server comes
or goes.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tramontane.engine.nouns import SECOND_NS, Policy, ReplicaStatus
from tramontane.engine.placement import Resident, idle_too_long, to_unload_for
from tramontane.engine.ports import ModelServer, ServerStarter
from tramontane.engine.replicas import Deaths, ReplicaState, moved
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import BadRequest, EngineFailed, ModelUnavailable, TramontaneError, draining

log = logging.getLogger(__name__)

FIRST_LOAD_GUESS_S = 10.0
MAX_LOAD_HINT_S = 60.0


@dataclass(slots=True, eq=False)
class Replica:
    """One model's place: its state, its server when there is one, and its history."""

    model: str
    state: ReplicaState = ReplicaState.ABSENT
    server: ModelServer | None = None
    held_by: int = 0
    last_used_ns: int = 0
    loading: asyncio.Task[None] | None = None
    retiring: asyncio.Task[None] | None = None
    free: asyncio.Event = field(default_factory=asyncio.Event)
    deaths: Deaths = field(default_factory=Deaths)
    stage: str = ""
    done: int = 0
    total: int = 0
    load_s: float = FIRST_LOAD_GUESS_S
    last_error: str = ""

    def move(self, state: ReplicaState) -> None:
        self.state = moved(self.model, self.state, state)

    def report(self, stage: str, done: int, total: int) -> None:
        self.stage, self.done, self.total = stage, done, total


class Fleet:
    """All replicas, one a model."""

    def __init__(
        self,
        starter: ServerStarter,
        policy: Policy,
        clock: Clock,
        *,
        changed: Callable[[str, TramontaneError | None], None],
        died: Callable[[ModelServer], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._starter = starter
        self._policy = policy
        self._clock = clock
        self._changed = changed
        self._died = died
        self._spawn = spawn
        self._replicas: dict[str, Replica] = {}
        self._closing = False

    def server(self, model: str) -> ModelServer | None:
        """The live server of a model, also while it drains; None when there is none."""
        replica = self._replicas.get(model)
        if replica is None or replica.server is None or not replica.server.alive:
            return None
        return replica.server

    def ready_now(self, model: str) -> ModelServer | None:
        """The live server that takes new work, None when one has to be waited for."""
        replica = self._replicas.get(model)
        if replica is None or replica.state is not ReplicaState.READY or self._closing:
            return None
        return replica.server if replica.server is not None and replica.server.alive else None

    async def ready(self, model: str) -> ModelServer:
        """A server for new work, loaded if need be. Raises ModelUnavailable, Overloaded when closing, or why it cannot."""
        while True:
            replica = self._replica(model)
            if self._closing:
                raise draining()
            if replica.state is ReplicaState.READY:
                assert replica.server is not None
                if replica.server.alive:
                    return replica.server
                self.note_death(replica.server)
            elif replica.retiring is not None:
                await asyncio.shield(replica.retiring)
            else:
                await self._loaded(replica)

    async def _loaded(self, replica: Replica) -> None:
        loading = self._loading(replica)
        try:
            await asyncio.shield(loading)
        except asyncio.CancelledError:
            # Ours when the load itself was stopped by `close`, else the caller's own.
            if loading.cancelled():
                raise draining() from None
            raise

    def hold(self, server: ModelServer) -> None:
        """One more request is on this server; it will not be unloaded meanwhile."""
        replica = self._of(server)
        if replica is not None:
            replica.held_by += 1
            replica.free.clear()

    def release(self, server: ModelServer) -> None:
        """A request left; a server that died meanwhile is nobody's any more."""
        replica = self._of(server)
        if replica is not None:
            replica.held_by -= 1
            replica.last_used_ns = self._clock.monotonic_ns()
            if not replica.held_by:
                replica.free.set()

    def note_death(self, server: ModelServer) -> None:
        """The process is gone: start its replacement at once, or quarantine the model. Known deaths do nothing."""
        replica = self._of(server)
        if replica is None:
            return
        if replica.state is ReplicaState.DRAINING:
            replica.free.set()
            return
        self._died(server)
        replica.server = None
        replica.held_by = 0
        replica.free.set()
        self._spawn(server.close())
        self._note_failure(replica, "its process died")
        log.warning("the process of %s died; it is now %s", replica.model, replica.state)
        if replica.state is ReplicaState.QUARANTINED:
            self._changed(replica.model, self._quarantined(replica))
        elif not self._closing:
            self._loading(replica)

    async def unload(self, model: str) -> None:
        """Return once the model's requests are over and its server is gone."""
        replica = self._replicas.get(model)
        if replica is None:
            return
        if replica.loading is not None:
            await asyncio.shield(replica.loading)
        if replica.state is ReplicaState.READY:
            self._retire(replica)
        if replica.retiring is not None:
            await asyncio.shield(replica.retiring)

    async def close(self) -> None:
        """Stop every server now and load none any more."""
        self._closing = True
        for replica in self._replicas.values():
            if replica.loading is not None:
                replica.loading.cancel()
                await asyncio.wait([replica.loading])
        servers = [replica.server for replica in self._replicas.values() if replica.server is not None]
        for outcome in await asyncio.gather(*(server.close() for server in servers), return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("a server did not end as it should", exc_info=outcome)

    def tick(self, now_ns: int) -> None:
        """Once a second: notice silent deaths, unload what has been idle too long."""
        for replica in list(self._replicas.values()):
            if replica.server is not None and not replica.server.alive:
                self.note_death(replica.server)
        for resident in idle_too_long(self._residents(), now_ns):
            replica = self._replicas[resident.model]
            if replica.state is ReplicaState.READY:
                self._retire(replica)

    def status(self) -> dict[str, ReplicaStatus]:
        return {model: self._status(replica) for model, replica in self._replicas.items()}

    def loading_hint_s(self, model: str) -> float:
        """Seconds a load of this model may still take, by the last one."""
        replica = self._replicas.get(model)
        return min(MAX_LOAD_HINT_S, replica.load_s if replica is not None else FIRST_LOAD_GUESS_S)

    def _status(self, replica: Replica) -> ReplicaStatus:
        now_ns = self._clock.monotonic_ns()
        server = replica.server
        return ReplicaStatus(
            model=replica.model,
            state=replica.state.value,
            stage=replica.stage,
            done=replica.done,
            total=replica.total,
            retry_after_s=replica.deaths.wait_s(now_ns),
            deaths=replica.deaths.recent(now_ns),
            last_error=replica.last_error,
            capacity=server.capacity if server is not None else None,
            load=server.load if server is not None else None,
        )

    def _replica(self, model: str) -> Replica:
        replica = self._replicas.get(model)
        if replica is None:
            replica = self._replicas[model] = Replica(model)
        return replica

    def _of(self, server: ModelServer) -> Replica | None:
        replica = self._replicas.get(server.model)
        return replica if replica is not None and replica.server is server else None

    def _loading(self, replica: Replica) -> asyncio.Task[None]:
        """The load in progress, begun if there is none. Raises ModelUnavailable while quarantined."""
        if replica.loading is None:
            if replica.deaths.wait_s(self._clock.monotonic_ns()) > 0:
                raise self._quarantined(replica)
            replica.move(ReplicaState.LOADING)
            replica.report("starting", 0, 0)
            replica.loading = self._spawn(self._load(replica))
        return replica.loading

    async def _load(self, replica: Replica) -> None:
        began_ns = self._clock.monotonic_ns()
        try:
            await self._make_room(replica)
            async with asyncio.timeout(self._policy.load_timeout_s):
                replica.server = await self._starter.start(replica.model, replica.report)
        except asyncio.CancelledError:
            replica.move(ReplicaState.ABSENT)
            raise
        # A starter is the boundary to a process: whatever it raises must not take the gateway's tables along.
        except Exception as error:
            cause = self._load_failed(replica, error)
            self._changed(replica.model, cause)
            raise cause from error
        finally:
            replica.loading = None
        now_ns = self._clock.monotonic_ns()
        replica.held_by = 0
        replica.free.set()
        replica.last_error = ""
        replica.load_s = (now_ns - began_ns) / SECOND_NS
        replica.last_used_ns = now_ns
        replica.report("", 0, 0)
        replica.move(ReplicaState.READY)
        self._changed(replica.model, None)

    def _load_failed(self, replica: Replica, error: Exception) -> TramontaneError:
        if isinstance(error, TimeoutError):
            waited_s = self._policy.load_timeout_s
            error = ModelUnavailable(
                f"{replica.model} did not load within {waited_s:.0f} s; see the engine's log or allow more time",
                retry_after_s=30,
            )
        elif not isinstance(error, TramontaneError):
            log.exception("loading %s failed", replica.model)
            error = EngineFailed(f"{replica.model} could not be loaded: {error}")
        if isinstance(error, BadRequest | ModelUnavailable) and error.code == "out_of_memory":
            replica.last_error = error.message
            replica.move(ReplicaState.ABSENT)
        else:
            self._note_failure(replica, error.message)
        return error

    def _note_failure(self, replica: Replica, why: str) -> None:
        replica.last_error = why
        quarantined = replica.deaths.note(self._clock.monotonic_ns())
        replica.move(ReplicaState.QUARANTINED if quarantined else ReplicaState.ABSENT)

    def _quarantined(self, replica: Replica) -> ModelUnavailable:
        wait_s = replica.deaths.wait_s(self._clock.monotonic_ns())
        return ModelUnavailable(
            f"{replica.model} failed {len(replica.deaths.times_ns)} times within a minute ({replica.last_error}); "
            f"the next attempt is in {wait_s:.0f} s",
            retry_after_s=max(1.0, wait_s),
        )

    async def _make_room(self, replica: Replica) -> None:
        needed_bytes = self._starter.memory_bytes(replica.model)
        chosen = to_unload_for(needed_bytes, self._policy.memory_limit_bytes, self._residents(replica))
        if chosen is None:
            held = ", ".join(resident.model for resident in self._residents(replica))
            raise ModelUnavailable(
                f"{replica.model} needs {needed_bytes} bytes of the {self._policy.memory_limit_bytes} allowed, and "
                f"models with open requests hold too much ({held or 'none'}); unload one or raise memory_limit_bytes",
                retry_after_s=30,
                code="out_of_memory",
            )
        for resident in chosen:
            await self.unload(resident.model)

    def _residents(self, wanted: Replica | None = None) -> list[Resident]:
        return [
            Resident(
                model=replica.model,
                size_bytes=max(
                    self._starter.memory_bytes(replica.model),
                    replica.server.load.resident_bytes if replica.server is not None else 0,
                ),
                held_by=replica.held_by if replica.server is not None else 1,
                last_used_ns=replica.last_used_ns,
                idle_unload_s=self._policy.idle_unload_s,
            )
            for replica in self._replicas.values()
            if replica is not wanted and (replica.server is not None or replica.state is ReplicaState.LOADING)
        ]

    def _retire(self, replica: Replica) -> None:
        replica.move(ReplicaState.DRAINING)
        replica.retiring = self._spawn(self._wind_down(replica))

    async def _wind_down(self, replica: Replica) -> None:
        server = replica.server
        assert server is not None
        await replica.free.wait()
        try:
            await server.close()
        # A server is the boundary to a process: one that ends badly is gone all the same, and can be loaded again.
        except Exception as error:
            log.exception("the server of %s did not end as it should", replica.model)
            replica.last_error = f"its server did not end as it should: {error}"
        finally:
            replica.server = None
            replica.retiring = None
            replica.move(ReplicaState.ABSENT)
        self._changed(replica.model, None)
