"""docs/operations/exit-codes.md has every exit code, and the units know which need somebody."""

import os
import re
from pathlib import Path

from jobsvc.exit_code import ExitCode

ROOT = Path(__file__).parents[1]


def test_page_has_every_exit_code() -> None:
    page = (ROOT / "docs/operations/exit-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", page, re.MULTILINE)
    assert [(int(code), name) for code, name in rows] == [(c.value, c.name) for c in ExitCode]


def test_codes_are_those_of_sysexits() -> None:
    assert (ExitCode.TEMPORARY, ExitCode.CONFIGURATION) == (os.EX_TEMPFAIL, os.EX_CONFIG)
