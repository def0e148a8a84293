"""Takes out each guard, and sees that its tests fail: a test that cannot fail is worth nothing.

    python -m tests.faults.unguarded [GUARD ...]

Exit code 1 when a test passes without the guard that it is for. A test that is skipped, for want of
a program or of root, proves nothing either way, and is named.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults.support.guards import GUARDS, removed

ROOT = Path(__file__).parents[2]
#: What pytest says when tests ran and some failed; anything else proves nothing.
_FAILED = 1
_PASSED = 0
#: The last line of pytest when nothing ran.
_SKIPPED = re.compile(r"^\d+ skipped", re.MULTILINE)
_MOST_SECONDS = 300


def outcome(source: Path, test: str) -> int | None:
    """Runs a test on a source, and returns the exit code of pytest; None if it was skipped."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-o", f"pythonpath={source} .", test],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_MOST_SECONDS,
        check=False,
    )
    if done.returncode == _PASSED and _SKIPPED.search(done.stdout):
        return None
    return done.returncode


def unnoticed(names: Sequence[str]) -> list[str]:
    """The tests that do not fail without their guard; prints each."""
    found: list[str] = []
    for name in names:
        for test in GUARDS[name].tests:
            with removed(name) as source:
                code = outcome(source, f"tests/{test}")
            says = "skipped" if code is None else "fails" if code == _FAILED else f"EXIT {code}"
            print(f"{name:<17} {says}  {test}", flush=True)
            found += [] if code in (None, _FAILED) else [test]
    return found


def main() -> int:
    """Runs the tests of these guards, or of all."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.unguarded", description=__doc__)
    parser.add_argument("guard", nargs="*", choices=[[], *sorted(GUARDS)])
    options = parser.parse_args()
    return 1 if unnoticed(options.guard or sorted(GUARDS)) else 0


if __name__ == "__main__":
    sys.exit(main())
