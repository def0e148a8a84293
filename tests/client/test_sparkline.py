"""Bars, and numbers in few characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.cli.sparkline import short_duration, short_number, sparkline

VALUES = st.lists(st.none() | st.floats(0, 1e12))


@given(VALUES, st.sampled_from(["utf-8", "ascii"]))
def test_each_value_has_its_bar(values: list[float | None], encoding: str) -> None:
    line = sparkline(values, encoding)
    assert len(line) == len(values)
    line.encode(encoding)
    assert [bar == " " for bar in line] == [value is None for value in values]


@given(st.lists(st.floats(0, 1e12), min_size=2))
def test_larger_values_have_no_lower_bars(values: list[float]) -> None:
    bars = "_.:-=+*#"
    line = sparkline(sorted(values), "ascii")
    assert [bars.index(bar) for bar in line] == sorted(bars.index(bar) for bar in line)
    assert line[-1] == ("#" if max(values) else "_")


def test_zero_is_told_from_what_is_little() -> None:
    assert sparkline([0, 1, 1000, None, 500], "UTF-8") == "▁▂█ ▅"
    assert sparkline([0, 1, 1000, None, 500], "iso-8859-1") == "_.# ="
    assert sparkline([0, 0], "utf-8") == "▁▁"


@given(st.floats(0, 9.99e14))
def test_number_has_four_characters_at_most(value: float) -> None:
    assert 1 <= len(short_number(value)) <= 4


@given(st.floats(0, 999 * 86_400))
def test_duration_has_four_characters_at_most(seconds: float) -> None:
    assert 2 <= len(short_duration(seconds)) <= 4


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.44, "0.4"), (9.96, "10"), (999, "999"), (999.5, "1k"), (12_345, "12k")],
)
def test_numbers(value: float, text: str) -> None:
    assert short_number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.012, "12ms"), (0.25, "0.2s"), (1.26, "1.3s"), (119, "119s"), (7199, "2h"), (9e5, "10d")],
)
def test_durations(seconds: float, text: str) -> None:
    assert short_duration(seconds) == text
