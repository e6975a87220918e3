"""OpenVINO GenAI's pipeline in the place of our batching loop: same engine process, same words, same protocol.

Fulfils what the chat engine asks of a loop and hands the work to genai_pipeline.py. Greedy requests of one choice only:
what the workloads send. `load_engine` is what the engine process calls instead of the product's own.
"""

import os
import subprocess
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socketpair
from typing import cast

from bench.genai_engine import CACHE_BYTES, MODEL_VARIABLE, PYTHON_VARIABLE, SLOTS
from tramontane.adapters.servers.completion.profile import load_profile
from tramontane.adapters.servers.openvino.chat_engine import ChatEngine
from tramontane.adapters.servers.openvino.loop import EngineLoop
from tramontane.adapters.servers.openvino.options import EngineOptions
from tramontane.adapters.servers.openvino.prepared import read_manifest
from tramontane.adapters.servers.openvino.prompts import PromptDesk, Send
from tramontane.adapters.servers.openvino.request import ChoiceStep, StepReport, TokenRequest
from tramontane.engine.ports import Capacity, Load
from tramontane.foundation.errors import BadRequest
from tramontane.foundation.nouns import Spend

BLOCK_SCALE_BYTES = 8  # per head and token in the pipeline's 8-bit cache, on either side


@dataclass(slots=True)
class _Request:
    asked: TokenRequest
    began_ns: int
    first_ns: int = 0
    generated: int = 0

    def spend(self) -> Spend:
        """What is known from outside; the pipeline does not say what its prefix cache saved."""
        now_ns, prompt = time.monotonic_ns(), len(self.asked.prompt)
        return Spend(
            prompt_tokens=prompt, computed_tokens=prompt, generated_tokens=self.generated,
            decode_positions=self.generated, prefill_ns=(self.first_ns or now_ns) - self.began_ns,
            decode_ns=now_ns - self.first_ns if self.first_ns else 0,
        )  # fmt: skip


class GenaiLoop:
    """The part of EngineLoop that the chat engine uses."""

    broken = False

    def __init__(self, python: str, model_file: str) -> None:
        """Starts the pipeline's process and waits until it has loaded. Raises EOFError when it dies before."""
        ours, theirs = socketpair()
        script = str(Path(__file__).with_name("genai_pipeline.py"))
        with theirs:
            self._child = subprocess.Popen(
                [python, script, str(theirs.fileno()), model_file], pass_fds=(theirs.fileno(),)
            )
        self._connection = Connection(ours.detach())
        self._connection.recv()
        self._orders: list[tuple[str, str, list[int], int, bool, list[int]]] = []
        self._requests: dict[str, _Request] = {}
        self._finished: dict[str, Spend] = {}
        self._stepping = False
        self._steps = 0

    @property
    def has_work(self) -> bool:
        return bool(self._requests or self._orders or self._finished or self._stepping)

    @property
    def load(self) -> Load:
        waiting = [request for request in self._requests.values() if not request.first_ns]
        cached = sum(len(request.asked.prompt) + request.generated for request in self._requests.values())
        return Load(
            running=len(self._requests), waiting_prefill_tokens=sum(len(request.asked.prompt) for request in waiting),
            cache_used_tokens=cached, progress=self._steps,
        )  # fmt: skip

    def submit(self, request: TokenRequest) -> None:
        """Raises BadRequest for what this stand-in does not do."""
        if request.n != 1 or request.constraints or request.logprobs is not None or request.sampling.temperature:
            raise BadRequest("the pipeline under comparison takes greedy requests of one choice; set temperature to 0")
        self._requests[request.id] = _Request(request, time.monotonic_ns())
        ends = sorted(request.stop_tokens)
        limits = request.limits
        self._orders.append(("add", request.id, request.prompt, request.max_tokens, limits.ignore_eos, ends))

    def cancel(self, request_id: str) -> Spend | None:
        request = self._requests.pop(request_id, None)
        if request is None:
            return None
        self._orders.append(("cancel", request_id, [], 0, False, []))
        return request.spend()

    def end_choice(self, request_id: str, index: int) -> None:
        """A stop string was met: the next report says that the request is finished."""
        if (spend := self.cancel(request_id)) is not None:
            self._finished[request_id] = spend

    def pause(self, request_id: str) -> None:
        """Not offered; the capacity says so."""

    def resume(self, request_id: str) -> None:
        """Not offered; the capacity says so."""

    def begin_step(self) -> bool:
        """Let the pipeline compute; it does so while the step before is turned into text and sent."""
        self._connection.send(self._orders)
        self._orders = []
        self._stepping = True
        return True

    def finish_step(self) -> StepReport:
        """Wait for the pipeline. Raises EOFError when its process has died, which ends ours too."""
        began_ns = time.monotonic_ns()
        news = self._connection.recv()
        self._stepping = False
        self._steps += 1
        report = StepReport([], self._finished, {}, 0, 0, 0, time.monotonic_ns() - began_ns)
        self._finished = {}
        for request_id, tokens, ended in news:
            if request_id in self._requests:
                self._take(request_id, tokens, ended, report)
        return report

    def _take(self, request_id: str, tokens: list[int], ended: str, report: StepReport) -> None:
        request = self._requests[request_id]
        request.generated += len(tokens)
        request.first_ns = request.first_ns or time.monotonic_ns()
        if not ended:
            report.choices.append(ChoiceStep(request_id, 0, tokens))
            return
        del self._requests[request_id]
        if ended != "FINISHED":
            report.failed[request_id] = f"the pipeline ended this request with the status {ended}"
            return
        stopped = request.generated < request.asked.max_tokens
        visible = tokens[:-1] if stopped and tokens and tokens[-1] in request.asked.stop_tokens else tokens
        report.choices.append(ChoiceStep(request_id, 0, visible, reason="stop" if stopped else "length"))
        report.finished[request_id] = request.spend()


def load_engine(options: EngineOptions, send: Send) -> ChatEngine:
    """The product's chat engine, its words read from the prepared folder, over the pipeline on the GGUF itself."""
    folder = Path(options.folder)
    profile = load_profile(folder, options.model)
    shape = read_manifest(folder).architecture
    loop = GenaiLoop(os.environ[PYTHON_VARIABLE], os.environ[MODEL_VARIABLE])
    token_bytes = 2 * shape.layers * shape.kv_heads * (shape.head_dim + BLOCK_SCALE_BYTES)
    capacity = Capacity(
        slots=SLOTS, context_tokens=profile.context_tokens, cache_tokens=CACHE_BYTES // token_bytes, can_pause=False
    )
    desk = PromptDesk(profile, shape.vocab_size, send)
    return ChatEngine(options.model, cast(EngineLoop, loop), desk, capacity, send)
