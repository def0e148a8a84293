"""Cost against size: the points and their tables."""

import pytest
from rich.console import Console

from bench.flat.point import OPERATIONS, Point, by_series, ratio
from bench.flat.report import sections
from bench.flat.series import all_series


def point(size: int, milliseconds: float, series: str = "waiting") -> Point:
    times = [milliseconds, milliseconds, milliseconds + 100]
    return Point(series, size, dict.fromkeys(OPERATIONS, times), {"dead": 12_345})


def test_ratio_is_of_the_medians_at_the_largest_and_the_smallest_size() -> None:
    assert ratio([point(10, 2), point(1000, 9), point(100, 5)], "GetJob") == pytest.approx(4.5)


def test_points_come_by_series() -> None:
    points = [point(1, 1, "a"), point(1, 1, "b"), point(2, 1, "a")]
    assert {name: [p.size for p in own] for name, own in by_series(points).items()} == {
        "a": [1, 2],
        "b": [1],
    }


def test_tables_have_a_row_for_each_operation_and_number() -> None:
    console = Console(width=200)
    with console.capture() as capture:
        found = sections([point(10, 2), point(1000, 3)], {"waiting": "waiting jobs"})
        for title, table in found:
            console.print(title, table)
    text = capture.get()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    for operation in OPERATIONS:
        assert [operation, "2.00", "3.00", "1.50"] in rows
    assert ["dead", "12,345", "12,345"] in rows
    assert "Waiting jobs: median ms" in text


@pytest.mark.parametrize("most", [10, 500, 1_000_000, 10_000_000])
def test_finished_jobs_grow_up_to_what_is_asked_for(most: int) -> None:
    sizes = next(s.sizes for s in all_series(most, 3) if s.name == "finished")
    assert sizes[-1] == most
    assert list(sizes) == sorted(set(sizes))
