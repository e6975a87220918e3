"""How tests start the fake engine process behind the real client and supervisor."""

import json
from pathlib import Path
from typing import Any

from tramontane.adapters.servers.openvino.client import EngineServer
from tramontane.adapters.servers.openvino.supervisor import start_engine
from tramontane.adapters.servers.processes.child import ChildCommand
from tramontane.adapters.servers.processes.watch import Patience
from tramontane.foundation.clock import Clock, SystemClock
from tramontane.foundation.progress import silent

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = Patience(load_s=60.0)


def fake_engine_command(log_path: Path, **options: Any) -> ChildCommand:
    """The fake engine process with these options (see its module)."""
    return ChildCommand(
        arguments=("-m", "tests.fakes.engine_process", "{fd}", json.dumps(options)),
        log_path=log_path,
        environment={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
    )


async def start_fake_engine(
    folder: Path, patience: Patience = PATIENCE, clock: Clock | None = None, **options: Any
) -> EngineServer:
    """A running EngineServer over the fake process; its log lies in `folder`."""
    command = fake_engine_command(folder / "engine.log", **options)
    return await start_engine("fake", command, patience, clock or SystemClock(), silent)
