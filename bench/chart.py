"""The findings as a chart, PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from bench.follower import STEPS
from bench.report import PARTS
from bench.scenario import SCENARIOS
from bench.summary import Line

_COLOURS = mpl.color_sequences["tab10"]
_BAR = 0.8


def draw(lines: Sequence[Line], folder: Path) -> None:
    """Draws `performance.png` and `performance.svg` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rates = [line for line in lines if line.unit == "jobs/s"]
    latencies = [line for line in lines if line.unit == "ms"]
    # The same findings give the same file.
    mpl.rcParams.update({"svg.hashsalt": "jobsvc", "font.size": 9})
    groups = list(dict.fromkeys(line.scenario for line in rates))
    heights = [max(1.5, 0.27 * len(rates)), max(1.5, 0.27 * len(rates)), 1.2]
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(9, sum(heights) + 2.5), height_ratios=heights, layout="constrained"
    )
    _draw_rates(top, rates, groups)
    _draw_cpu(middle, rates)
    _draw_steps(bottom, latencies)
    for name, metadata in (("png", {}), ("svg", {"Date": None})):
        figure.savefig(folder / f"performance.{name}", dpi=110, metadata=metadata)
    plt.close(figure)


def _draw_rates(axes: Axes, lines: Sequence[Line], groups: Sequence[str]) -> None:
    systems = list(dict.fromkeys(line.system for line in lines))
    places = _places(lines, groups)
    for number, system in enumerate(systems):
        own = [
            (place, line)
            for place, line in zip(places, lines, strict=True)
            if line.system == system
        ]
        axes.barh(
            [place for place, _ in own],
            [line.median for _, line in own],
            height=_BAR,
            color=_COLOURS[number % len(_COLOURS)],
            xerr=[
                [line.median - line.least for _, line in own],
                [line.most - line.median for _, line in own],
            ],
            error_kw={"elinewidth": 1, "capsize": 2},
            label=system,
        )
        for place, line in own:
            axes.text(line.most, place, f"  {line.median:,.0f}", va="center", fontsize=8)
    middles = [
        sum(p for p, line in zip(places, lines, strict=True) if line.scenario == group)
        / sum(line.scenario == group for line in lines)
        for group in groups
    ]
    axes.set_yticks(middles, [SCENARIOS[group].title for group in groups])
    axes.invert_yaxis()
    axes.margins(x=0.1, y=0.02)
    axes.set_title("jobs/s: median, range")
    axes.legend(loc="lower right")


def _places(lines: Sequence[Line], groups: Sequence[str]) -> list[float]:
    """Where each bar lies: one below the other, with a gap between scenarios."""
    return [n + groups.index(line.scenario) * 0.6 for n, line in enumerate(lines)]


def _draw_cpu(axes: Axes, lines: Sequence[Line]) -> None:
    costs = [(line, line.costs) for line in lines if line.costs is not None]
    left = [0.0] * len(costs)
    for number, part in enumerate(PARTS):
        widths = [cost.cpu_us.get(part, 0.0) for _, cost in costs]
        axes.barh(
            range(len(costs)), widths, left=left, height=_BAR, color=_COLOURS[number], label=part
        )
        left = [a + b for a, b in zip(left, widths, strict=True)]
    names = [f"{SCENARIOS[line.scenario].title}: {line.system}" for line, _ in costs]
    axes.set_yticks(range(len(costs)), names, fontsize=8)
    axes.invert_yaxis()
    axes.margins(y=0.02)
    axes.set_title("CPU µs a job")
    axes.legend(loc="upper right")


def _draw_steps(axes: Axes, lines: Sequence[Line]) -> None:
    names = [line.system for line in lines]
    # What a peer does not split into steps is one bar.
    totals = [0.0 if any(step in line.detail for step in STEPS) else line.median for line in lines]
    axes.barh(names, totals, color="tab:gray")
    left = [0.0] * len(lines)
    for number, step in enumerate(STEPS):
        widths = [max(0.0, line.detail.get(step, 0.0)) for line in lines]
        axes.barh(names, widths, left=left, color=_COLOURS[number], label=step)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_title("create to terminal status on an idle system, ms")
    axes.legend(loc="upper right", ncols=len(STEPS), fontsize=8)
