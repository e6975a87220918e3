"""The real gateway for the gateway benchmark, run by gateway.py as `python -m bench.gateway_front`.

Models called `fake...` are served by the fake engine process over the engine's own protocol, all others as the
catalogue says: over the upstream adapter.
"""

import json
import os
from pathlib import Path

import tramontane
from bench.environment import ROOT
from bench.fronts import serve_over
from bench.instant_server import PACE_S
from tramontane.adapters.servers.openvino.supervisor import start_engine
from tramontane.adapters.servers.processes.child import ChildCommand
from tramontane.adapters.servers.processes.watch import Patience
from tramontane.app.servers import Servers
from tramontane.engine.ports import ModelServer, ProgressReport


def fake_engine(model: str, log_folder: Path) -> ChildCommand:
    """The fake engine: `fake` steps as fast as it can, `fake-paced` once in PACE_S."""
    package_root = Path(tramontane.__file__).resolve().parents[1]
    return ChildCommand(
        arguments=("-m", "bench.gateway_engine", "{fd}", json.dumps({"step_s": PACE_S if "paced" in model else 0})),
        log_path=log_folder / f"{model}.log",
        environment={"PYTHONPATH": os.pathsep.join((str(package_root), str(ROOT)))},
    )


class GatewayServers(Servers):
    """The product's starters, and the fake engine beside them."""

    async def start(self, model: str, report: ProgressReport) -> ModelServer:
        if not model.startswith("fake"):
            return await super().start(model, report)
        command = fake_engine(model, self._settings.home / "logs")
        return await start_engine(model, command, Patience(), self._clock, report)


if __name__ == "__main__":
    serve_over(GatewayServers)
