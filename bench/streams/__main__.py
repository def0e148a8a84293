"""`python -m bench.streams`: opens the streams, measures, prints, writes."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from bench.measure.child_process import ChildFailed
from bench.measure.sample import WrongResult
from bench.streams.report import text, write_json, write_markdown
from bench.streams.run import Plan, run


def main() -> int:
    """Measures as the command line says; exit code 1 when a result was wrong."""
    whole = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m bench.streams",
        description="Many open streams on one replica: memory, delivery, bystanders, loop lag.",
    )
    parser.add_argument("--status-streams", type=int, default=whole.status_streams, metavar="N")
    parser.add_argument("--work-streams", type=int, default=whole.work_streams, metavar="N")
    parser.add_argument("--seconds", type=float, default=whole.seconds, metavar="S")
    parser.add_argument(
        "--json", type=Path, default=Path("build/bench/streams.json"), metavar="PATH"
    )
    parser.add_argument("--markdown", type=Path, metavar="PATH", help="write the tables there")
    chosen = parser.parse_args()
    plan = Plan(chosen.status_streams, chosen.work_streams, chosen.seconds)
    try:
        findings = asyncio.run(run(plan))
    except (WrongResult, ChildFailed) as problem:
        print(f"WRONG: {problem}")
        return 1
    print(text(findings))
    write_json(plan, findings, chosen.json)
    if chosen.markdown is not None:
        write_markdown(plan, findings, chosen.markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
