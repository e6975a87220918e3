"""The workloads, as functions from a target to figures. Prompts are made from a seed, so every contestant gets the same.

Knows the shape of a workload; knows nothing of who answers.
"""

import asyncio
import random
import statistics
import time
from dataclasses import dataclass
from typing import Any

from bench.client import Answer, ask

WORDS = (
    "harbour wind ledger stone river market engine copper window garden letter bridge salt paper mountain clock forest "
    "signal orchard village lantern carpet engineer winter bottle station meadow violin doctor railway thunder kitchen"
).split()


@dataclass(frozen=True)
class Target:
    """Where to send, as whom, for which model."""

    name: str
    port: int
    path: str
    model: str
    key: str = "none"
    process_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Figures:
    """One run of one workload: output tokens a second and times in milliseconds."""

    tokens_per_s: float
    ttft_p50_ms: float
    ttft_p99_ms: float
    itl_p50_ms: float
    errors: int
    extra: dict[str, float]


def words(seed: int, count: int) -> str:
    """`count` everyday words, the same for the same seed; about 1.2 tokens a word for the embedded model."""
    source = random.Random(seed)
    return " ".join(source.choice(WORDS) for _ in range(count))


def body(target: Target, messages: list[dict[str, str]], max_tokens: int, **more: Any) -> dict[str, Any]:
    """A greedy request that runs to its token limit."""
    return {
        "model": target.model, "messages": messages, "max_tokens": max_tokens, "temperature": 0, "ignore_eos": True,
        **more,
    }  # fmt: skip


def figures(answers: list[Answer], wall: float, **extra: float) -> Figures:
    """Reduce answers to figures; a failed request counts as an error and brings no tokens."""
    good = [answer for answer in answers if answer.error is None]
    firsts = sorted(answer.ttft * 1e3 for answer in good) or [float("nan")]
    gaps = [
        (answer.arrivals[-1] - answer.arrivals[0]) / max(1, answer.tokens - 1) * 1e3
        for answer in good
        if answer.arrivals
    ] or [float("nan")]
    tokens = sum(answer.tokens for answer in good)
    return Figures(
        tokens / wall, statistics.median(firsts), percentile(firsts, 0.99), statistics.median(gaps),
        len(answers) - len(good), extra,
    )  # fmt: skip


def percentile(ordered: list[float], part: float) -> float:
    """The value at `part` of a sorted list, nearest rank."""
    return ordered[min(len(ordered) - 1, max(0, round(part * len(ordered) + 0.5) - 1))]


def unique_text(seed: int, number: int, turn: int) -> str:
    """The user's text of one request of `unique`: no two alike, about 128 tokens with the chat template around it."""
    return f"{seed} {number} {turn} " + words(seed * 7919 + number * 101 + turn, 78)


async def unique(target: Target, seed: int, streams: int, rounds: int = 1, tokens: int = 128) -> Figures:
    """`streams` at once, each with a prompt of its own of about 128 tokens; 128 tokens out."""

    async def one(number: int) -> list[Answer]:
        answers = []
        for turn in range(rounds):
            text = unique_text(seed, number, turn)
            answers.append(await ask(target.port, target.path, body(target, [user(text)], tokens), target.key))
        return answers

    began = time.perf_counter()
    answers = [answer for part in await asyncio.gather(*(one(number) for number in range(streams))) for answer in part]
    return figures(answers, time.perf_counter() - began)


async def shared(target: Target, seed: int, streams: int, tokens: int = 64) -> Figures:
    """`streams` at once behind one system prompt of about 1,000 tokens; the first, cold one is timed apart."""
    system = {"role": "system", "content": f"{seed} " + words(seed, 740)}
    cold = await ask(target.port, target.path, body(target, [system, user("What is this about?")], 4), target.key)
    warm = await ask(target.port, target.path, body(target, [system, user("Who wrote it?")], 4), target.key)
    fresh = {"role": "system", "content": f"{seed + 1} " + words(seed + 1, 740)}
    began = time.perf_counter()
    answers = await asyncio.gather(
        *(
            ask(target.port, target.path, body(target, [fresh, user(f"Question {number}?")], tokens), target.key)
            for number in range(streams)
        )
    )
    wall = time.perf_counter() - began
    return figures(answers, wall, cold_ttft_ms=cold.ttft * 1e3, warm_ttft_ms=warm.ttft * 1e3)


async def multiturn(target: Target, seed: int, users: int = 8, turns: int = 6, tokens: int = 64) -> Figures:
    """`users` talk for `turns` turns, each turn carrying the whole conversation."""
    firsts: list[list[float]] = [[] for _ in range(turns)]
    answers: list[Answer] = []

    async def one(number: int) -> None:
        history: list[dict[str, str]] = []
        for turn in range(turns):
            history.append(user(f"{seed} {number} " + words(seed + number * 31 + turn, 50)))
            answer = await ask(target.port, target.path, body(target, history, tokens), target.key)
            history.append({"role": "assistant", "content": answer.text})
            firsts[turn].append(answer.ttft * 1e3)
            answers.append(answer)

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(users)))
    wall = time.perf_counter() - began
    return figures(
        answers, wall, first_turn_ms=statistics.median(firsts[0]), last_turn_ms=statistics.median(firsts[-1])
    )


async def repeating(target: Target, seed: int, tokens: int = 192) -> Figures:
    """One stream that rewrites a text it was given: most of the answer stands in the prompt."""
    text = " ".join(
        f"The {words(seed + line, 2)} is kept by the {words(seed + line + 50, 1)} of line {line}." for line in range(12)
    )
    prompt = [user("Repeat the following text exactly, word for word.\n\n" + text)]
    began = time.perf_counter()
    answer = await ask(target.port, target.path, body(target, prompt, tokens), target.key)
    return figures([answer], time.perf_counter() - began)


@dataclass(frozen=True)
class Mixed:
    """A quiet workspace beside a flood: its first-token times, and the flood's tokens a second alone and together."""

    quiet_ttft_ms: list[float]
    flood_alone_per_s: float
    flood_beside_per_s: float
    errors: int


async def mixed(quiet: Target, flooder: Target, seed: int, seconds: float, burst: int = 0) -> Mixed:
    """Four endless streams of 1,000-token prompts (and a burst) against a quiet caller every 0.4 s.

    The flood alone is measured before and after, because the machine drifts.
    """
    before = await _flood(flooder, seed, seconds / 4, burst=0)
    flood = asyncio.ensure_future(_flood(flooder, seed + 10_000, seconds, burst))
    await asyncio.sleep(0.5)
    quiet_answers = []
    number = 0
    while not flood.done():
        number += 1
        prompt = [user(f"{seed} {number} " + words(seed + number, 20))]
        quiet_answers.append(await ask(quiet.port, quiet.path, body(quiet, prompt, 8), quiet.key))
        await asyncio.sleep(0.4)
    beside = await flood
    after = await _flood(flooder, seed + 20_000, seconds / 4, burst=0)
    return Mixed(
        sorted(answer.ttft * 1e3 for answer in quiet_answers if answer.error is None),
        (before[0] + after[0]) / 2, beside[0] + sum(answer.tokens for answer in quiet_answers) / seconds,
        beside[1] + sum(answer.error is not None for answer in quiet_answers),
    )  # fmt: skip


async def _flood(target: Target, seed: int, seconds: float, burst: int) -> tuple[float, int]:
    """Work done a second, in prompt plus output tokens, and the errors met."""
    end = time.perf_counter() + seconds
    done: list[Answer] = []

    async def stream(number: int) -> None:
        turn = 0
        while time.perf_counter() < end:
            turn += 1
            prompt = [user(f"{seed} {number} {turn} " + words(seed + number * 1009 + turn, 740))]
            done.append(await ask(target.port, target.path, body(target, prompt, 64), target.key))

    async def single(number: int) -> None:
        prompt = [user(f"burst {seed} {number} " + words(seed + number, 78))]
        done.append(await ask(target.port, target.path, body(target, prompt, 64), target.key))

    began = time.perf_counter()
    await asyncio.gather(*(stream(number) for number in range(4)), *(single(number) for number in range(burst)))
    wall = time.perf_counter() - began
    work = sum(answer.prompt_tokens + answer.tokens for answer in done if answer.error is None)
    return work / wall, sum(answer.error is not None for answer in done)


def user(text: str) -> dict[str, str]:
    """A user turn."""
    return {"role": "user", "content": text}
