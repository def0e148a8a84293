"""docs/reference/faults.md names tests that there are."""

import re
from pathlib import Path

import pytest

from tests.faults.support.guards import GUARDS
from tests.faults.support.places import defines

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reference" / "faults.md"
_ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`([\w/]+\.py):(test_\w+)`")
#: Where the tests of restores are named by what they are called.
BACKUP = TESTS.parent / "docs" / "operations" / "backup.md"
#: What must hold follows from how the code is built: a stream reads the latest status only, and
#: each call is one statement. There is no step that could be taken out.
UNGUARDED = [16, 32]
ROWS = {int(number): tests for number, _, tests in _ROW.findall(PAGE.read_text("utf-8"))}


def test_every_known_fault_has_a_row() -> None:
    assert list(ROWS) == list(range(1, 36))


@pytest.mark.parametrize("number", ROWS)
def test_tests_of_a_fault_exist(number: int) -> None:
    named = _TEST.findall(ROWS[number])
    assert named
    for file, function in named:
        assert defines(TESTS / file, function), f"{file} has no {function}"


def test_every_test_that_the_page_names_exists() -> None:
    named = _TEST.findall(PAGE.read_text("utf-8"))
    assert len(named) > 50
    assert [name for name in named if not defines(TESTS / name[0], name[1])] == []


def test_every_promise_after_a_restore_has_its_test() -> None:
    named = re.findall(r"`(test_\w+)`", BACKUP.read_text("utf-8"))
    assert len(named) > 10
    file = TESTS / "faults" / "test_restore.py"
    assert [name for name in named if not defines(file, name)] == []


def test_row_has_a_guard_without_which_it_fails() -> None:
    guarded = {test for guard in GUARDS.values() for test in guard.tests}
    without = [
        number
        for number, tests in ROWS.items()
        if not guarded & {f"{file}::{function}" for file, function in _TEST.findall(tests)}
    ]
    assert without == UNGUARDED
