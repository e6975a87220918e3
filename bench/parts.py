"""What is compared with what, and which ratio is asked for. Each part returns plain figures for report.py."""

import asyncio
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import psutil

from bench import gateway, load
from bench.client import ask
from bench.contestants import WORK, genai_front, llama_server, process, tramontane
from bench.load import Target, body, user
from bench.loop_alone import loop_alone as bare_loop
from bench.quantise import as_q4_0
from bench.report import GOAL_HEAD, goal_row
from bench.rounds import Comparison, compare

CHAT = "smollm2-135m-instruct"
Q4_0 = "smollm2-135m-q4-0"


def engines_q4_1(rounds: int) -> dict[str, object]:
    """Everybody on the embedded file."""
    return _engines("Q4_1", CHAT, embedded_file(), rounds)


def engines_q4_0(rounds: int) -> dict[str, object]:
    """Everybody on the same weights rounded to Q4_0, the format llama.cpp is fastest with."""
    return _engines("Q4_0", Q4_0, add_q4_0(), rounds)


def _engines(label: str, model: str, file: Path, rounds: int) -> dict[str, object]:
    """The platform against llama.cpp's server, the library's own pipeline behind the same front, and our loop alone."""
    rows: list[str] = []
    ratios: dict[str, list[float]] = {}
    with tramontane("tramontane", home(), model) as (_, ours):
        with llama_server(file, 32) as theirs:
            for name, goal, workload in VERSUS_LLAMA:
                title = f"{label}, llama.cpp server: {name}"
                keep(compare(title, goal, workload, ours, theirs, rounds), rows, ratios)
        with genai_front(home(), model, file) as theirs:
            title, workload = f"{label}, GenAI pipeline, same front: 32 streams", partial(load.unique, streams=32)
            keep(compare(title, 1.0, workload, ours, theirs, rounds), rows, ratios)
        keep(loop_alone(f"{label}, our loop alone: 32 streams", ours, model, rounds), rows, ratios)
    return {"rows": rows, "ratios": ratios}


VERSUS_LLAMA = (
    ("32 streams", 1.7, partial(load.unique, streams=32)),
    ("8 streams", 1.8, partial(load.unique, streams=8)),
    ("8 streams, shared 1,000-token prefix", 5.0, partial(load.shared, streams=8)),
    ("1 stream, rewriting its prompt", 1.0, load.repeating),
    ("1 stream, other text", 0.75, partial(load.unique, streams=1, rounds=4)),
)


def loop_alone(name: str, ours: Target, model: str, rounds: int) -> Comparison:
    """The platform against the bare loop, which runs in a process of its own and takes turns with it."""
    comparison = Comparison(name, 0.9)
    folder = home() / "models" / model / "prepared"
    for number in range(rounds):
        comparison.ours.append(asyncio.run(load.unique(ours, 4000 + number, streams=32)))
        figures = bare_loop(folder, 32, 4000 + number)
        comparison.theirs.append(load.Figures(figures["tokens_per_s"], 0, 0, 0, 0, {}))
    print(comparison.row, flush=True)
    return comparison


def turns(rounds: int) -> dict[str, object]:
    """What the prefix cache does for first tokens."""
    with tramontane("tramontane", home(), CHAT) as (_, ours):
        shared = [asyncio.run(load.shared(ours, 50_000 + 10 * number, 1)) for number in range(rounds)]
        talks = [asyncio.run(load.multiturn(ours, 60_000 + number)) for number in range(rounds)]
    warm = statistics.median(one.extra["warm_ttft_ms"] / one.extra["cold_ttft_ms"] for one in shared)
    last = statistics.median(one.extra["last_turn_ms"] / one.extra["first_turn_ms"] for one in talks)
    rows = [
        goal_row("first token behind a 1,000-token prefix, warm over cold", warm, 0.10, most=True),
        goal_row("first token, 8 users, sixth turn over first", last, 1.5, most=True),
    ]
    return {"rows": rows}


def fairness(rounds: int) -> dict[str, object]:
    """A quiet workspace beside another's four endless streams of 1,000-token prompts, and beside its burst of 64."""
    rows = []
    with tramontane("tramontane", home(), CHAT) as (quiet, loud):
        for name, burst in (("4 endless streams", 0), ("4 endless streams and a burst of 64", 64)):
            runs = [asyncio.run(load.mixed(quiet, loud, 70_000 + number, 24, burst)) for number in range(rounds)]
            firsts = sorted(value for run in runs for value in run.quiet_ttft_ms)
            kept = statistics.median(run.flood_beside_per_s / run.flood_alone_per_s for run in runs)
            p50, p99 = load.percentile(firsts, 0.5), load.percentile(firsts, 0.99)
            errors = sum(run.errors for run in runs)
            rows.append(
                goal_row(
                    f"quiet first token p99 beside {name}, ms (p50 {p50:.0f}, n={len(firsts)}, {errors} refused)",
                    p99,
                    500,
                    most=True,
                )
            )
            rows.append(goal_row(f"the flood's work beside the quiet one over alone ({name})", kept, 0.9))
    return {"rows": rows}


def gateway_alone(rounds: int) -> dict[str, object]:
    """The gateway over an engine that answers at once, against LiteLLM's proxy over a server that does."""
    found = gateway.compare(rounds=rounds)
    ours, litellm = found["ours_engine"], found["litellm"]
    table = gateway.table(found)
    print(table, flush=True)
    rows = [
        goal_row("added to a plain request over the fake engine, ms", ours.added_ms, 1, most=True),
        goal_row("processor per streamed chunk as fast as they come, us", ours.chunk_us, 20, most=True),
        goal_row("the same with 32 streams on a 40 ms beat, us", ours.paced_chunk_us, 20, most=True),
        goal_row("requests/s over LiteLLM's, 1 client", ours.plain_1_per_s / litellm.plain_1_per_s, 10),
        goal_row("requests/s over LiteLLM's, 32 clients", ours.plain_32_per_s / litellm.plain_32_per_s, 10),
    ]
    return {"head": f"{table}\n\n{GOAL_HEAD}", "rows": rows}


def resources(rounds: int) -> dict[str, object]:
    """Start to first token, and memory after 5,000 requests."""
    starts = [first_token_s() for _ in range(rounds)]
    with tramontane("tramontane", home(), CHAT) as (_, ours):
        before = asyncio.run(requests(ours, 500, 0))
        after = asyncio.run(requests(ours, 5000, 1))
    rows = [
        goal_row("`tramontane serve` to first token, s", statistics.median(starts), 10, most=True),
        goal_row("resident memory of all its processes after 5,500 requests, GB", after / 1e9, 1.2, most=True),
        goal_row("the same, over what it was after 500", after / before, 1.05, most=True),
    ]
    return {"rows": rows}


async def requests(target: Target, count: int, seed: int) -> int:
    """Send many short requests with prompts of their own, 16 at a time; resident bytes of the platform afterwards."""
    gate = asyncio.Semaphore(16)

    async def one(number: int) -> None:
        async with gate:
            prompt = [user(f"{seed} {number} " + load.words(seed * 100_000 + number, 6))]
            answer = await ask(target.port, target.path, body(target, prompt, 2), target.key)
            if answer.error:
                raise RuntimeError(answer.error)

    await asyncio.gather(*(one(number) for number in range(count)))
    return sum(psutil.Process(pid).memory_info().rss for pid in target.process_ids if psutil.pid_exists(pid))


def first_token_s() -> float:
    """Seconds from typing `tramontane serve` to the first streamed token of the default model."""
    began = time.perf_counter()
    with tramontane("start", home(), CHAT):
        return time.perf_counter() - began


def home() -> Path:
    """The benchmarks' own data folder, with the embedded chat model installed as a user would."""
    folder = WORK / "home"
    if not (folder / "models" / CHAT).exists():
        command(folder, "models", "pull", CHAT)
    return folder


def embedded_file() -> Path:
    return next((home() / "models" / CHAT).rglob("*.gguf"))


def add_q4_0() -> Path:
    """The embedded model requantised to Q4_0 and added under a name of its own."""
    file = as_q4_0(embedded_file(), WORK / f"{Q4_0}.gguf")
    if not (home() / "models" / Q4_0).exists():
        command(home(), "models", "add", str(file), "--name", Q4_0)
    return file


def command(folder: Path, *arguments: str) -> None:
    """One `tramontane` command on the benchmarks' data folder. Raises RuntimeError with its log's name."""
    executable = str(Path(sys.executable).with_name("tramontane"))
    with process([executable, *arguments], "setup", TRAMONTANE_HOME=str(folder)) as child:
        if child.wait(900):
            raise RuntimeError("setting up failed; see bench/.work/setup.log")


def keep(comparison: Comparison, rows: list[str], ratios: dict[str, list[float]]) -> None:
    rows.append(comparison.row)
    ratios[comparison.name] = [comparison.goal, *comparison.ratios]
