"""The findings as a chart, PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from bench.report.summary import Line
from bench.report.tables import PARTS
from bench.scenarios.catalog import SCENARIOS
from bench.scenarios.latency_caller import STEPS

_COLOURS = mpl.color_sequences["tab10"]
_PART_COLOURS = mpl.color_sequences["Set2"]
_BAR = 0.8
#: Gap between two scenarios, in bars.
_GAP = 0.7
_INCHES_A_BAR = 0.22
#: A bar this many times as long as all others is cut.
_DWARFED = 5


def draw(lines: Sequence[Line], folder: Path) -> None:
    """Draws `performance.png` and `performance.svg` into `folder`: a row of speed and CPU for
    single creates, one for the other scenarios, and one for latency."""
    folder.mkdir(parents=True, exist_ok=True)
    # The same findings give the same file.
    mpl.rcParams.update({"svg.hashsalt": "jobsvc", "font.size": 9})
    rates = [line for line in lines if line.unit == "jobs/s"]
    single = [line for line in rates if line.scenario.startswith("create-")]
    rows = [row for row in (single, [line for line in rates if line not in single]) if row]
    latencies = [line for line in lines if line.unit == "ms"]
    systems = list(dict.fromkeys(line.system for line in rates))
    colours = {system: _COLOURS[n % len(_COLOURS)] for n, system in enumerate(systems)}
    heights = [1 + _INCHES_A_BAR * max(_positions(row)) for row in rows]
    heights += [1 + 0.3 * len(latencies)] if latencies else []
    figure = plt.figure(figsize=(11, sum(heights) + 0.5), layout="constrained")
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=(5, 3))
    for number, row in enumerate(rows):
        speed = figure.add_subplot(grid[number, 0])
        _draw_rates(speed, row, colours)
        _draw_cpu(figure.add_subplot(grid[number, 1], sharey=speed), row)
    if latencies:
        _draw_steps(figure.add_subplot(grid[-1, :]), latencies)
    figure.savefig(folder / "performance.png", dpi=110)
    figure.savefig(folder / "performance.svg", metadata={"Date": None})
    plt.close(figure)


def _positions(lines: Sequence[Line]) -> list[float]:
    """The position of each bar: one below the other, with a gap between scenarios."""
    groups = list(dict.fromkeys(line.scenario for line in lines))
    return [n + groups.index(line.scenario) * _GAP for n, line in enumerate(lines)]


def _draw_rates(axes: Axes, lines: Sequence[Line], colours: Mapping[str, object]) -> None:
    positions = _positions(lines)
    limit = 1.15 * _longest(lines)
    for system, colour in colours.items():
        own = [(p, ln) for p, ln in zip(positions, lines, strict=True) if ln.system == system]
        if not own:
            continue
        medians = [line.median for _, line in own]
        below = [line.median - line.lowest for _, line in own]
        above = [line.highest - line.median for _, line in own]
        axes.barh(
            [position for position, _ in own],
            medians,
            height=_BAR,
            color=colour,
            xerr=[below, above],
            error_kw={"elinewidth": 1, "capsize": 2},
            label=system,
        )
        for position, line in own:
            cut = line.highest > limit
            text = f"{line.median:,.0f} →" if cut else f"{line.median:,.0f}"
            axes.annotate(
                text,
                (limit if cut else line.highest, position),
                xytext=(-4 if cut else 4, 0),
                textcoords="offset points",
                ha="right" if cut else "left",
                va="center",
                fontsize=8,
            )
    axes.set_xlim(0, limit)
    groups = list(dict.fromkeys(line.scenario for line in lines))
    middles = []
    for group in groups:
        members = [p for p, ln in zip(positions, lines, strict=True) if ln.scenario == group]
        middles.append(sum(members) / len(members))
    axes.set_yticks(middles, [SCENARIOS[group].title for group in groups])
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.invert_yaxis()
    axes.set_title("jobs/s, median and range")
    axes.legend(fontsize=8)


def _longest(lines: Sequence[Line]) -> float:
    """The longest bar that is shown whole: the echo keeps nothing, and may dwarf all others."""
    others = max((line.highest for line in lines if line.system != "echo"), default=0.0)
    longest = max(line.highest for line in lines)
    return others if others and longest > _DWARFED * others else longest


def _draw_cpu(axes: Axes, lines: Sequence[Line]) -> None:
    positions = _positions(lines)
    left = [0.0] * len(lines)
    for number, part in enumerate(PARTS):
        widths = [line.costs.cpu_us.get(part, 0.0) if line.costs else 0.0 for line in lines]
        if any(widths):
            colour = _PART_COLOURS[number]
            axes.barh(positions, widths, left=left, height=_BAR, color=colour, label=part)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title("CPU µs a job")
    axes.legend(fontsize=8)


def _draw_steps(axes: Axes, lines: Sequence[Line]) -> None:
    names = [line.system for line in lines]
    # A system whose latency is not split into steps gets one bar.
    whole = [0.0 if any(step in line.detail for step in STEPS) else line.median for line in lines]
    axes.barh(names, whole, color="tab:gray")
    left = [0.0] * len(lines)
    for number, step in enumerate(STEPS):
        widths = [max(0.0, line.detail.get(step, 0.0)) for line in lines]
        axes.barh(names, widths, left=left, color=_PART_COLOURS[number], label=step)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.margins(x=0.25)
    axes.invert_yaxis()
    axes.set_title("create to terminal status on an idle system, median ms")
    axes.legend(loc="center right", fontsize=8)
