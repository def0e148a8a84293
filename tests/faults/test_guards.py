"""Guards can be taken out of the source, and what is to notice it exists."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.support.guards import GUARDS, SOURCE, removed, without
from tests.faults.support.places import defines

TESTS = Path(__file__).parents[1]
_WHERE = "import jobsvc; print(jobsvc.__file__)"


@pytest.mark.parametrize("name", GUARDS)
def test_guard_stands_in_the_source_and_can_be_taken_out(name: str) -> None:
    for file, text in without(name).items():
        assert text != (SOURCE / file).read_text(encoding="utf-8")
        if file.endswith(".py"):
            compile(text, file, "exec")


@pytest.mark.parametrize("name", GUARDS)
def test_something_notices_that_a_guard_is_gone(name: str) -> None:
    guard = GUARDS[name]
    assert guard.tests
    for test in guard.tests:
        file, _, function = test.partition("::")
        assert defines(TESTS / file, function), test
    assert bool(guard.kinds) == bool(guard.breaks)
    assert guard.breaks <= {f"K{n}" for n in range(1, 11)}


def test_processes_run_on_the_source_without_the_guard() -> None:
    before = os.environ.get("PYTHONPATH")
    with removed("fence") as source:
        done = subprocess.run(
            [sys.executable, "-c", _WHERE], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == str(source / "jobsvc" / "__init__.py")
        assert source != SOURCE
    assert os.environ.get("PYTHONPATH") == before
    with removed("") as source:
        assert source == SOURCE
