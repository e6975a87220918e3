"""Turns figures into RESULTS.md and a plot beside it: what was run, on what machine, which goal each ratio had."""

import datetime
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

ENGINE_HEAD = (
    "| workload | ours tok/s | theirs tok/s | ratio, median (range) | goal | |\n| --- | --- | --- | --- | --- | --- |\n"
)
GOAL_HEAD = "| figure | value | goal | |\n| --- | --- | --- | --- |\n"
TITLES = {
    "engines-q4_1": "Engines on the embedded file (Q4_1), alternated rounds",
    "engines-q4_0": "Engines on the same weights as Q4_0, alternated rounds",
    "turns": "First tokens and the prefix cache",
    "fairness": "A quiet workspace beside a flood",
    "gateway": "The gateway by itself",
    "resources": "Start and memory",
    "assistant": "Conversations at the API",
    "browser": "The assistant in a browser",
    "open-webui": "Open WebUI, asked the same",
}
METHOD = """Every ratio is the median over rounds in which both contestants ran the same prompts in turn on this machine, client
included; absolute figures drift by a third between minutes and are given for orientation only. Greedy answers, `ignore_eos`,
tokens from `usage`; where nothing else is said, prompts have about 128 tokens and 128 come out. llama.cpp's server is the one
in the pinned `xllamacpp` wheel, as its users install it: two threads, continuous batching, one context window a slot.
"""


def write(results: dict[str, Any], target: Path, command: str) -> None:
    """Write the page and, where the drawing library is at hand, the plot."""
    parts = [f"# Results\n\n{METHOD}\n`{command}` on {machine()}, {datetime.date.today().isoformat()}.\n"]
    plot = target.with_name("ratios.svg")
    engines = [part for name, part in results.items() if name.startswith("engines")]
    ratios = {name: values for part in engines for name, values in part["ratios"].items()}
    if ratios and draw(ratios, plot):
        parts.append(f"![ratios against each goal]({plot.name})\n")
    for name, title in TITLES.items():
        if name in results:
            head = results[name].get("head") or (ENGINE_HEAD if name.startswith("engines") else GOAL_HEAD)
            parts.append(f"## {title}\n\n{head}" + "\n".join(results[name]["rows"]) + "\n")
    notes = target.with_name("NOTES.md")
    if notes.exists():
        parts.append(notes.read_text())
    target.write_text("\n".join(parts))


def machine() -> str:
    """Processor, cores and memory, without a name or an address."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )  # fmt: skip
    memory = psutil.virtual_memory().total / 2**30
    return f"{psutil.cpu_count()} cores ({model}), {memory:.0f} GiB, Python {platform.python_version()}, no accelerator"


def draw(ratios: dict[str, list[float]], plot: Path) -> bool:
    """Have the benchmarks' own environment draw the ratios; False where that is not possible."""
    from bench.environment import TOOLS  # noqa: PLC0415  makes the environment on demand

    script = Path(__file__).with_name("plot.py")
    lines = "\n".join(f"{name}\t" + "\t".join(map(str, values)) for name, values in ratios.items())
    result = subprocess.run([str(TOOLS.python()), str(script), str(plot)], input=lines, text=True, check=False)
    if result.returncode:
        print("the plot could not be drawn", file=sys.stderr)
    return result.returncode == 0


def goal_row(name: str, value: float, goal: float, *, most: bool = False) -> str:
    """A line of the table of single figures; `most` when smaller is better."""
    met = value <= goal if most else value >= goal
    sign = "at most" if most else "at least"
    row = f"| {name} | **{value:.3g}** | {sign} {goal:g} | {'met' if met else 'MISSED'} |"
    print(row, flush=True)
    return row
