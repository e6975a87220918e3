"""The real gateway in front of OpenVINO GenAI's pipeline, run by contestants.py as `python -m bench.genai_front`.

The environment says which interpreter has the pipeline, which GGUF it reads and which prepared folder has the words (see
genai_engine.py); all else is the product's own: doors, keys, fair queueing, accounting, the engine process.
"""

import os
from pathlib import Path

import tramontane
from bench.environment import ROOT
from bench.fronts import serve_over
from bench.genai_engine import CACHE_BYTES, MODEL_VARIABLE, PYTHON_VARIABLE, SLOTS, WORDS_VARIABLE
from tramontane.adapters.servers.openvino.options import EngineOptions, to_argument
from tramontane.adapters.servers.openvino.supervisor import start_engine
from tramontane.adapters.servers.processes.child import ChildCommand
from tramontane.adapters.servers.processes.watch import Patience
from tramontane.app.servers import Servers
from tramontane.engine.ports import ModelServer, ProgressReport


class GenaiServers(Servers):
    """Starts the comparison's process whatever the catalogue says of a model."""

    async def start(self, model: str, report: ProgressReport) -> ModelServer:
        patience = Patience(load_s=self._settings.engine.load_timeout_s)
        return await start_engine(model, self._command(model), patience, self._clock, report)

    def _command(self, model: str) -> ChildCommand:
        options = EngineOptions(
            model=model, folder=os.environ[WORDS_VARIABLE], threads=0, cache_bytes=CACHE_BYTES, max_sequences=SLOTS,
            prefill_chunk_tokens=512,
        )  # fmt: skip
        package_root = Path(tramontane.__file__).resolve().parents[1]
        return ChildCommand(
            arguments=("-m", "bench.genai_engine", "{fd}", to_argument(options)),
            log_path=self._settings.home / "logs" / f"genai-{model}.log",
            environment={
                "PYTHONPATH": os.pathsep.join((str(package_root), str(ROOT))),
                "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
                PYTHON_VARIABLE: os.environ[PYTHON_VARIABLE],
                MODEL_VARIABLE: os.environ[MODEL_VARIABLE],
            },
        )


if __name__ == "__main__":
    serve_over(GenaiServers)
