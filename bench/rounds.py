"""Alternated rounds: every contestant runs the same seed in turn, and only ratios within a round count.

A machine drifts by a third between minutes, so an absolute figure means little; the median of the rounds' ratios does.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.load import Figures, Target

Workload = Callable[[Target, int], Awaitable[Figures]]


@dataclass
class Comparison:
    """Figures of two contestants over the same rounds; ratios are ours over theirs in tokens a second."""

    name: str
    goal: float
    ours: list[Figures] = field(default_factory=list)
    theirs: list[Figures] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        return [a.tokens_per_s / b.tokens_per_s for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def row(self) -> str:
        """A line of the table of results."""
        low, high = min(self.ratios), max(self.ratios)
        met = "met" if self.ratio >= self.goal else "MISSED"
        errors = sum(figures.errors for figures in (*self.ours, *self.theirs))
        note = f", {errors} errors" if errors else ""
        return (
            f"| {self.name} | {_median(self.ours):.0f} | {_median(self.theirs):.0f} | **{self.ratio:.2f}** "
            f"({low:.2f}-{high:.2f}) | {self.goal:.2f} | {met}{note} |"
        )


def compare(name: str, goal: float, workload: Workload, ours: Target, theirs: Target, rounds: int) -> Comparison:
    """Run `workload` in turn on both, swapping who is first each round."""
    comparison = Comparison(name, goal)
    for number in range(rounds):
        order = ((ours, comparison.ours), (theirs, comparison.theirs))
        for target, figures in order if number % 2 == 0 else reversed(order):
            figures.append(asyncio.run(workload(target, 1000 * number + hash_of(name))))
    print(comparison.row, flush=True)
    return comparison


def hash_of(name: str) -> int:
    """A seed of the workload's own, the same in every run of Python."""
    return sum(position * ord(letter) for position, letter in enumerate(name, 1)) % 997


def _median(figures: list[Figures]) -> float:
    return statistics.median(one.tokens_per_s for one in figures)
