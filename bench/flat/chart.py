"""The points as a chart, PNG and SVG: a picture for each series, a line for each operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from bench.flat.point import OPERATIONS, Point, by_series

_COLOURS = mpl.color_sequences["tab10"]
_COLUMNS = 3


def draw(points: Sequence[Point], titles: Mapping[str, str], folder: Path) -> None:
    """Draws `flat.png` and `flat.svg` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    # The same findings give the same file.
    mpl.rcParams.update({"svg.hashsalt": "jobsvc", "font.size": 9})
    series = by_series(points)
    columns = min(_COLUMNS, len(series) + 1)
    rows = -(-(len(series) + 1) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(11, 3.2 * rows), layout="constrained", sharey=True, squeeze=False
    )
    positions = list(grid.flat)
    for axes, (name, own) in zip(positions, series.items(), strict=False):
        _draw_series(axes, own)
        axes.set_title(titles[name])
    for axes in positions[len(series) :]:
        axes.set_axis_off()
    handles, labels = positions[0].get_legend_handles_labels()
    positions[len(series)].legend(handles, labels, loc="center", title="median and middle half")
    figure.savefig(folder / "flat.png", dpi=110)
    figure.savefig(folder / "flat.svg", metadata={"Date": None})
    plt.close(figure)


def _draw_series(axes: Axes, points: Sequence[Point]) -> None:
    positions = range(len(points))
    for number, operation in enumerate(OPERATIONS):
        colour = _COLOURS[number % len(_COLOURS)]
        middle = [point.median(operation) for point in points]
        low, high = zip(*(point.quartiles(operation) for point in points), strict=True)
        axes.plot(positions, middle, marker="o", markersize=3, color=colour, label=operation)
        axes.fill_between(positions, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set_xticks(positions, [_short(point.size) for point in points])
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g} ms")
    axes.grid(axis="y", alpha=0.3)


def _short(size: int) -> str:
    for unit, letter in ((1_000_000, "M"), (1000, "k")):
        if size >= unit:
            return f"{size / unit:g}{letter}"
    return str(size)
