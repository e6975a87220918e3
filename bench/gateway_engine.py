"""The tests' fake engine process on the benchmarks' beat: all its requests step together, as an engine's batch does.

Arguments as for tests/fakes/engine_process.py: the number of the socket, then JSON with `step_s` (0: as fast as it can).
"""

import asyncio
import functools
import json
import sys

import uvloop
from tests.fakes import engine_process
from tests.fakes.model_server import FakeModelServer


async def on_the_beat(seconds: float) -> None:
    """Until the next multiple of `seconds` on the loop's clock; one turn of the loop when that is 0."""
    await asyncio.sleep(seconds and seconds - asyncio.get_running_loop().time() % seconds)


if __name__ == "__main__":
    engine_process.FakeModelServer = functools.partial(FakeModelServer, sleep=on_the_beat)  # type: ignore[misc,assignment]
    sys.exit(uvloop.run(engine_process.serve(int(sys.argv[1]), json.loads(sys.argv[2]))))
