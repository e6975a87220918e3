"""Draws the ratios of the engine comparisons: one dot a round, a bar for the median, a tick for the goal. Run by report.py."""

import statistics
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt


def main(target: str) -> None:
    """Read `name TAB goal TAB ratio ...` lines from standard input and write the picture."""
    rows = [line.rstrip("\n").split("\t") for line in sys.stdin if line.strip()]
    rows.reverse()
    figure, axes = plt.subplots(figsize=(9, 0.42 * len(rows) + 1.2))
    for place, (_, goal, *ratios) in enumerate(rows):
        values = [float(ratio) for ratio in ratios]
        axes.barh(place, statistics.median(values), height=0.55, color="#7aa6c2", zorder=1)
        axes.plot(values, [place] * len(values), "o", color="#1d3f58", markersize=4, zorder=3)
        axes.plot([float(goal)] * 2, [place - 0.38, place + 0.38], color="#b4442c", linewidth=2, zorder=2)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=8)
    axes.set_xscale("log")
    axes.set_xticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    axes.set_xlabel("ours over theirs, tokens a second; dots are rounds, the red tick is the goal")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(target)


if __name__ == "__main__":
    main(sys.argv[1])
