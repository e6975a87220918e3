"""OpenVINO GenAI's own pipeline in a process of its own: token ids in, a step's token ids out. A child of genai_loop.py.

Runs in the benchmarks' environment and imports nothing of the product. A process apart because the pipeline's `step`
holds the interpreter's lock: beside it nobody could read prompts or send text, and that would be measured instead.
"""

import sys
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

Order = tuple[str, str, list[int], int, bool, list[int]]
News = tuple[str, list[int], str]


def scheduler() -> genai.SchedulerConfig:
    """The settings that measured best for this pipeline on a small machine."""
    config = genai.SchedulerConfig()
    config.cache_size = 1  # GB
    config.max_num_seqs = 64
    config.max_num_batched_tokens = 512
    config.enable_prefix_caching = True
    return config


class Pipeline:
    """The pipeline and the handles of its requests by our ids."""

    def __init__(self, model_file: str) -> None:
        self._pipeline = genai.ContinuousBatchingPipeline(model_file, scheduler(), "CPU")
        self._handles: dict[str, Any] = {}
        self._count = 0

    def obey(self, order: Order) -> None:
        """Begin a greedy request or cancel one."""
        verb, key, tokens, max_tokens, ignore_eos, stop_tokens = order
        if verb == "cancel":
            if (handle := self._handles.pop(key, None)) is not None:
                handle.cancel()
            return
        config = genai.GenerationConfig()
        config.max_new_tokens, config.ignore_eos, config.do_sample = max_tokens, ignore_eos, False
        if not ignore_eos:
            config.stop_token_ids = set(stop_tokens)
        self._count += 1
        self._handles[key] = self._pipeline.add_request(self._count, ov.Tensor(np.array([tokens], np.int64)), config)

    def step(self) -> list[News]:
        """Compute once where there is work; new tokens by request and, at its end, the status."""
        if self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        news: list[News] = []
        for key, handle in list(self._handles.items()):
            tokens: list[int] = []
            while handle.can_read():
                for output in handle.read().values():
                    tokens += output.generated_ids
            status = handle.get_status()
            ended = "" if status == genai.GenerationStatus.RUNNING else status.name
            if ended:
                del self._handles[key]
            if tokens or ended:
                news.append((key, tokens, ended))
        return news


def main(descriptor: int, model_file: str) -> None:
    """Answer every list of orders with the news of one step, until the other end hangs up."""
    connection = Connection(descriptor)
    pipeline = Pipeline(model_file)
    connection.send("ready")
    while True:
        try:
            orders: list[Order] = connection.recv()
        except EOFError:
            return
        for order in orders:
            pipeline.obey(order)
        connection.send(pipeline.step())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
