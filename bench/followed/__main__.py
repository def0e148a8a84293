"""`python -m bench.followed`: follows the jobs, measures, prints."""

from __future__ import annotations

import argparse
import asyncio
import sys

from bench.followed.run import Plan, run
from bench.measure.child_process import ChildFailed
from bench.measure.sample import WrongResult

#: Reading, its largest value that is good enough, and the value to strive for.
_TARGETS = (
    ("B a followed job", 2048.0, 1024.0),
    ("p99 ms", 60.0, None),
    ("create beside, p99 ms", 15.0, None),
)


def main() -> int:
    """Measures as the command line says; exit code 1 when a result was wrong."""
    whole = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m bench.followed",
        description="Many jobs followed over a few streams of Submit: memory, lateness of changes,"
        " and a bystander's CreateJob meanwhile. A stream follows 10,000 jobs at most.",
    )
    parser.add_argument("--jobs", type=int, default=whole.jobs, metavar="N")
    parser.add_argument("--streams", type=int, default=whole.streams, metavar="N")
    parser.add_argument("--changes", type=int, default=whole.changes_per_second, metavar="N")
    parser.add_argument("--seconds", type=float, default=whole.seconds, metavar="S")
    parser.add_argument(
        "--smoke", action="store_true", help="tiny: says that it works, not how much it takes"
    )
    chosen = parser.parse_args()
    plan = Plan(chosen.jobs, chosen.streams, chosen.changes, chosen.seconds)
    if chosen.smoke:
        plan = Plan(1_000, 4, 100, 2.0, trim_seconds=0.0)
    if plan.resting < 1 or plan.moving < plan.streams or plan.streams < 2:
        parser.error("jobs must rest on every stream, and some must change")
    try:
        numbers = asyncio.run(run(plan))
    except (WrongResult, ChildFailed) as problem:
        print(f"WRONG: {problem}")
        return 1
    for name, value in numbers.items():
        print(f"{name:>22} {value:>10,.1f}")
    for name, most, beyond in _TARGETS:
        met = "met" if numbers[name] <= most else "NOT met"
        if beyond is not None and numbers[name] <= beyond:
            met = f"met, and {beyond:g} too"
        print(f"{met}: {name} {numbers[name]:.1f} of at most {most:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
