"""The gateway alone: ours over a fake engine and over an instant server, against LiteLLM's proxy over that same server.

`python -m bench.gateway [SECONDS [ROUNDS]]` starts all of them, measures in turns (A B C, A B C ...) and prints medians.
Ours runs as users run it: keys checked, limits counted, every request accounted for on SQLite; one worker each.
"""

import dataclasses
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import uvloop

from bench.contestants import CHAT, add_upstream, free_port, process, tramontane_command
from bench.environment import ROOT, TOOLS, WORK
from bench.gateway_front import fake_engine
from bench.gateway_load import Door, Measured, content_chunks, measure, request_bytes
from tramontane.adapters.servers.openvino.supervisor import start_engine
from tramontane.adapters.servers.processes.watch import Patience
from tramontane.foundation.clock import SystemClock
from tramontane.foundation.nouns import Ask, Limits, Message, TextChunk

CHUNKS = 128
CLIENTS = 32
HOME = WORK / "gateway-home"
MASTER_KEY = "sk-bench"
MANY = "1000000000"  # limits that are counted and never reached
START_TIMEOUT_S = 120
MODELS = {"fake": "instant", "fake-paced": "paced", "instant": "instant", "paced": "paced"}


@dataclass(frozen=True)
class Row:
    """Medians of one way in. `added_ms` is the time of a plain request beyond what stands behind the gateway needs.

    `chunk_us` is processor time of a stream of CHUNKS divided by them, as fast as they come; `paced_chunk_us` the same
    while CLIENTS streams each get one chunk in 40 ms, so that no two chunks of a stream share a write.
    """

    name: str
    plain_1_per_s: float
    plain_1_p50_ms: float
    added_ms: float
    plain_32_per_s: float
    stream_1_per_s: float
    stream_32_per_s: float
    chunk_us: float
    paced_chunk_us: float
    resident_mb: float


def compare(seconds: float = 2.5, rounds: int = 3) -> dict[str, Row]:
    """Start everything, measure in turns, stop everything. Keys: upstream, litellm, ours_engine, ours_upstream."""
    with _instant_server() as upstream, _ours(upstream.port) as ours, _litellm(upstream.port) as litellm:
        doors = {"upstream": upstream, "ours_engine": ours, "ours_upstream": _over_upstream(ours), "litellm": litellm}
        for door in doors.values():
            for model in (door.model, _paced(door)):
                if (found := content_chunks(door, CHUNKS, model)) != CHUNKS:
                    raise RuntimeError(f"{door.name} gave {found} chunks of text instead of {CHUNKS}")
        taken: dict[str, list[dict[str, Measured]]] = {key: [] for key in doors}
        engine_ms = []
        for _ in range(rounds):
            for key, door in doors.items():
                taken[key].append(_round(door, seconds))
            engine_ms.append(uvloop.run(_engine_itself_ms(seconds / 2)))
        resident = {key: _resident_mb(door) for key, door in doors.items()}
    upstream_ms = _median(taken["upstream"], "plain_1", "p50_ms")
    behind = {key: statistics.median(engine_ms) if key == "ours_engine" else upstream_ms for key in doors}
    return {key: _row(doors[key], taken[key], behind[key], resident[key]) for key in doors}


def _round(door: Door, seconds: float) -> dict[str, Measured]:
    plain, stream = request_bytes(door, False, 1), request_bytes(door, True, CHUNKS)
    paced = request_bytes(door, True, CHUNKS, _paced(door))
    measure(door, plain, CLIENTS, seconds / 8)
    return {
        "plain_1": measure(door, plain, 1, seconds),
        "plain_32": measure(door, plain, CLIENTS, seconds),
        "stream_1": measure(door, stream, 1, seconds),
        "stream_32": measure(door, stream, CLIENTS, seconds),
        "paced_32": measure(door, paced, CLIENTS, seconds, rounds=1),
    }


def _row(door: Door, rounds: list[dict[str, Measured]], behind_ms: float, resident_mb: float) -> Row:
    p50_ms = _median(rounds, "plain_1", "p50_ms")
    return Row(
        name=door.name,
        plain_1_per_s=_median(rounds, "plain_1", "per_s"),
        plain_1_p50_ms=p50_ms,
        added_ms=p50_ms - behind_ms,
        plain_32_per_s=_median(rounds, "plain_32", "per_s"),
        stream_1_per_s=_median(rounds, "stream_1", "per_s"),
        stream_32_per_s=_median(rounds, "stream_32", "per_s"),
        chunk_us=_median(rounds, "stream_32", "cpu_us") / CHUNKS,
        paced_chunk_us=_median(rounds, "paced_32", "cpu_us") / CHUNKS,
        resident_mb=resident_mb,
    )


def _median(rounds: list[dict[str, Measured]], load: str, figure: str) -> float:
    return statistics.median(getattr(measured[load], figure) for measured in rounds)


def _resident_mb(door: Door) -> float:
    return sum(psutil.Process(number).memory_info().rss for number in door.processes) / 1e6


def _paced(door: Door) -> str:
    return "fake-paced" if door.model == "fake" else "paced"


def _over_upstream(ours: Door) -> Door:
    return dataclasses.replace(ours, name="tramontane over the instant server", model="instant")


async def _engine_itself_ms(seconds: float) -> float:
    """The median time of one plain request straight to the fake engine, over the engine protocol, without a gateway."""
    server = await start_engine("fake", fake_engine("fake", HOME / "alone"), Patience(), SystemClock(), _silent)
    message = Message(role="user", content=(TextChunk("Say something short about the wind. " * 6),))
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        ask = Ask(id=f"r{len(times)}", model="fake", messages=(message,), limits=Limits(max_tokens=1))
        begun = time.perf_counter()
        prepared = await server.prepare(ask, namespace=bytes(32), share="bench")
        async for _ in server.generate(prepared):
            pass
        times.append(time.perf_counter() - begun)
    await server.close()
    return statistics.median(times) * 1e3


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody watches a benchmark start."""


@contextmanager
def _instant_server() -> Iterator[Door]:
    port = free_port()
    with process([sys.executable, "-m", "bench.instant_server", str(port)], "instant-server") as child:
        door = Door("the instant server itself", port, "/v1/chat/completions", "instant", "none", (child.pid,))
        _wait_for(door, child)
        yield door


@contextmanager
def _ours(upstream_port: int) -> Iterator[Door]:
    """The gateway on a home of its own whose four models are the fake engine's and the instant server's."""
    shutil.rmtree(HOME, ignore_errors=True)
    port = free_port()
    settings = {
        "TRAMONTANE_HOME": str(HOME), "TRAMONTANE_PORT": str(port), "TRAMONTANE_DEFAULT_MODEL": "fake",
        "TRAMONTANE_PRELOAD": json.dumps([name for name in MODELS if name != "fake"]),
    }  # fmt: skip
    for name, served in MODELS.items():
        add_upstream(settings, name, f"http://127.0.0.1:{upstream_port}/v1#{served}")
    key = tramontane_command(
        settings, "key", "create", "bench", "--requests-per-minute", MANY, "--tokens-per-minute", MANY
    )
    with process([sys.executable, "-m", "bench.gateway_front"], "gateway-front", **settings) as child:
        door = Door("tramontane over the fake engine", port, CHAT, "fake", key, (child.pid,))
        for model in MODELS:
            _wait_for(dataclasses.replace(door, model=model), child)
        yield door


@contextmanager
def _litellm(upstream_port: int) -> Iterator[Door]:
    """LiteLLM's proxy as its documentation starts it for production, without a database: one worker, a master key."""
    port = free_port()
    target = {"api_base": f"http://127.0.0.1:{upstream_port}/v1", "api_key": "none"}
    config = {
        "model_list": [
            {"model_name": name, "litellm_params": {"model": f"openai/{name}", **target}} for name in ("instant", "paced")
        ],
        "general_settings": {"master_key": MASTER_KEY},
        "litellm_settings": {"telemetry": False, "set_verbose": False, "json_logs": False},
    }  # fmt: skip
    path = WORK / "litellm.yaml"
    path.write_text(json.dumps(config), "utf-8")  # JSON is YAML
    serve = [str(TOOLS.program("litellm")), "--config", str(path), "--host", "127.0.0.1", "--port", str(port)]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}
    with process([*serve, "--num_workers", "1"], "litellm", **environment) as child:
        door = Door(
            "LiteLLM over the instant server", port, "/v1/chat/completions", "instant", MASTER_KEY, (child.pid,)
        )
        _wait_for(door, child)
        ids = tuple(member.pid for member in psutil.Process(child.pid).children(recursive=True))
        yield dataclasses.replace(door, processes=(child.pid, *ids))


def _wait_for(door: Door, child: subprocess.Popen[bytes]) -> None:
    """Until a stream of one token arrives. Raises RuntimeError when that never happens."""
    end, last = time.monotonic() + START_TIMEOUT_S, ""
    while time.monotonic() < end and child.poll() is None:
        try:
            content_chunks(door, 1)
            return
        except (OSError, RuntimeError) as error:
            last = str(error)
            time.sleep(0.2)
    raise RuntimeError(f"{door.name} does not answer; see its log in bench/.work. The last it said: {last}")


def table(rows: dict[str, Row]) -> str:
    """The rows as a Markdown table."""
    head = (
        "gateway", "plain c=1 req/s", "p50 ms", "added ms", f"plain c={CLIENTS} req/s", "streams/s c=1",
        f"streams/s c={CLIENTS}", "us a chunk", "us a chunk, paced", "RSS MB",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in rows.values():
        cells: list[Any] = [row.name, f"{row.plain_1_per_s:,.0f}", f"{row.plain_1_p50_ms:.2f}", f"{row.added_ms:.2f}"]
        cells += [f"{row.plain_32_per_s:,.0f}", f"{row.stream_1_per_s:.1f}", f"{row.stream_32_per_s:.1f}"]
        cells += [f"{row.chunk_us:.1f}", f"{row.paced_chunk_us:.1f}", f"{row.resident_mb:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(seconds: float = 2.5, rounds: int = 3) -> dict[str, Row]:
    """Compare, print the table and hand the rows on."""
    if not (ROOT / "tests" / "fakes").is_dir():
        raise SystemExit("the gateway benchmark needs the tests' fake engine; run it from a full checkout")
    rows = compare(seconds, rounds)
    print(table(rows))
    return rows


if __name__ == "__main__":
    main(*(kind(word) for kind, word in zip((float, int), sys.argv[1:], strict=False)))
