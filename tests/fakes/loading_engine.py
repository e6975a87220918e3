"""An engine that only loads and unloads, at a test's word: no server, no requests."""

import asyncio

from tramontane.engine.nouns import EngineStatus, ReplicaStatus
from tramontane.foundation.errors import TramontaneError


class LoadingEngine:
    """`refusal` is raised by the next loads; loads and unloads wait for `go`."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.refusal: TramontaneError | None = None
        self.go = asyncio.Event()
        self.go.set()

    async def load(self, model: str) -> None:
        self.states[model] = "loading"
        await self.go.wait()
        if self.refusal is not None:
            self.states[model] = "absent"
            raise self.refusal
        self.states[model] = "ready"

    async def unload(self, model: str) -> None:
        if self.states.get(model) != "ready":
            return
        self.states[model] = "draining"
        await self.go.wait()
        self.states[model] = "absent"

    def status(self) -> EngineStatus:
        replicas = {
            name: ReplicaStatus(model=name, state=state, stage="verifying" if state == "loading" else "", total=2)
            for name, state in self.states.items()
        }
        return EngineStatus(draining=False, open_requests=0, replicas=replicas, lines={}, totals={})
