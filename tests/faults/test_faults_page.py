"""docs/reference/faults.md names tests that there are."""

import re
from pathlib import Path

import pytest

from tests.faults.support.places import defines

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reference" / "faults.md"
_ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`([\w/]+\.py):(test_\w+)`")
#: Faults that nothing brings about yet.
OPEN: list[int] = []
ROWS = {int(number): tests for number, _, tests in _ROW.findall(PAGE.read_text("utf-8"))}


def test_every_known_fault_has_a_row() -> None:
    assert list(ROWS) == list(range(1, 36))
    assert [number for number, tests in ROWS.items() if tests.startswith("none")] == OPEN


@pytest.mark.parametrize("number", ROWS)
def test_tests_of_a_fault_exist(number: int) -> None:
    named = _TEST.findall(ROWS[number])
    assert named or number in OPEN
    for file, function in named:
        assert defines(TESTS / file, function), f"{file} has no {function}"
