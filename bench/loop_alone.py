"""Our own batching loop by itself: the embedded engine's model and loop in one process, no text out, no HTTP.

`python -m bench.loop_alone FOLDER STREAMS SEED [ROUNDS]` prints one line of JSON; `loop_alone` runs that in a process of
its own. The prompts are those of the workload `unique`, rendered as the engine renders them; the settings are the
defaults of the product.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from bench.environment import ROOT
from bench.load import unique_text
from tramontane.adapters.servers.completion.profile import ModelProfile, load_profile
from tramontane.adapters.servers.completion.prompt import read
from tramontane.adapters.servers.openvino.loop import EngineLoop
from tramontane.adapters.servers.openvino.paged_model import PagedModel
from tramontane.adapters.servers.openvino.request import TokenRequest
from tramontane.foundation.nouns import Ask, Limits, Message, Sampling, TextChunk
from tramontane.foundation.settings import EngineSettings

TOKENS = 128


def loop_alone(folder: Path, streams: int, seed: int, rounds: int = 1) -> dict[str, float]:
    """Run it in a fresh process on the prepared model in `folder`; see `measure` for the figures."""
    command = [sys.executable, "-m", "bench.loop_alone", str(folder), str(streams), str(seed), str(rounds)]
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # as engine processes are started
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return figures


def requests(profile: ModelProfile, streams: int, seed: int, turn: int) -> list[TokenRequest]:
    """One round of `unique`: all its requests, greedy, to the last token."""
    limits, sampling = Limits(max_tokens=TOKENS, ignore_eos=True), Sampling(temperature=0.0)
    made = []
    for number in range(streams):
        message = Message(role="user", content=(TextChunk(unique_text(seed, number, turn)),))
        ask = Ask(id=f"{seed}-{number}-{turn}", model=profile.name, messages=(message,), limits=limits)
        rendered = read(ask, profile)
        made.append(
            TokenRequest(
                id=ask.id, namespace=bytes(32), share="bench", weight=1, prompt=rendered.tokens, sampling=sampling,
                limits=limits, max_tokens=rendered.max_tokens, stop_tokens=rendered.stop_tokens,
            )
        )  # fmt: skip
    return made


def run(loop: EngineLoop, asked: list[TokenRequest]) -> tuple[float, int, float, int]:
    """Submit all at once and step to the end: seconds, tokens, and both again for steps that only decoded."""
    began = time.perf_counter()
    for request in asked:
        loop.submit(request)
    tokens, decode_s, decoded = 0, 0.0, 0
    while loop.has_work:
        report = loop.step()
        given = sum(len(choice.tokens) for choice in report.choices)
        tokens += given
        if not report.prefill_tokens:
            decode_s += report.step_ns / 1e9
            decoded += given
    return time.perf_counter() - began, tokens, decode_s, decoded


def measure(folder: Path, streams: int, seed: int, rounds: int) -> dict[str, float]:
    """`tokens_per_s` end to end, prefill included; `decode_per_s` over the steps that only decoded; totals of `rounds`."""
    settings = EngineSettings()
    profile = load_profile(folder)
    try:
        threads = settings.threads or len(os.sched_getaffinity(0))
        loop = EngineLoop(
            PagedModel.load(folder, settings.cache_bytes, threads),
            max_sequences=settings.max_sequences, prefill_chunk_tokens=settings.prefill_chunk_tokens,
        )  # fmt: skip
        run(loop, requests(profile, 1, seed + 1_000_003, 0))  # the first step of a graph is slow everywhere
        parts = [run(loop, requests(profile, streams, seed, turn)) for turn in range(rounds)]
    finally:
        profile.close()
    wall_s, tokens, decode_s, decoded = (sum(column) for column in zip(*parts, strict=True))
    return {
        "streams": streams, "tokens": tokens, "wall_s": wall_s, "tokens_per_s": tokens / wall_s,
        "decode_per_s": decoded / decode_s if decode_s else 0.0,
    }  # fmt: skip


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[2:]]
    print(json.dumps(measure(Path(sys.argv[1]), given[0], given[1], given[2] if len(given) > 2 else 1)))
