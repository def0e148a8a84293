"""`python -m bench.watches`: opens the watches, measures, prints."""

from __future__ import annotations

import argparse
import asyncio
import sys

from bench.measure.child_process import ChildFailed
from bench.measure.sample import WrongResult
from bench.watches.run import Plan, run

_MAX_KB = 16.0
_MAX_P99_MS = 100.0


def main() -> int:
    """Measures as the command line says; exit code 1 when a result was wrong."""
    whole = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m bench.watches",
        description="Many watches of one queue: memory, lateness of changes, reads.",
    )
    parser.add_argument("--watches", type=int, default=whole.watches, metavar="N")
    parser.add_argument("--changes", type=int, default=whole.changes_per_second, metavar="N")
    parser.add_argument("--seconds", type=float, default=whole.seconds, metavar="S")
    chosen = parser.parse_args()
    try:
        numbers = asyncio.run(run(Plan(chosen.watches, chosen.changes, chosen.seconds)))
    except (WrongResult, ChildFailed) as problem:
        print(f"WRONG: {problem}")
        return 1
    for name, value in numbers.items():
        print(f"{name:>14} {value:>12,.1f}")
    for name, value, most in (
        ("KB a watch", numbers["KB a watch"], _MAX_KB),
        ("p99 ms", numbers["p99 ms"], _MAX_P99_MS),
    ):
        print(f"{'met' if value <= most else 'NOT met'}: {name} {value:.1f} of at most {most:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
