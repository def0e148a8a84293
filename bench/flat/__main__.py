"""`python -m bench.flat`: fills, measures, prints, writes."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.flat.point import OPERATIONS, Point, by_series, ratio
from bench.flat.report import sections
from bench.flat.run import run
from bench.flat.series import Series, all_series
from bench.measure.postgres import running_postgres
from bench.report.machine import machine
from bench.report.tables import table_text


def main() -> int:
    """Measures as the command line says; exit code 2 when it cannot."""
    chosen = _options()
    if chosen.chart is not None and importlib.util.find_spec("matplotlib") is None:
        print("bench: --chart needs matplotlib: pip install 'jobsvc[bench]'", file=sys.stderr)
        return 2
    wanted = all_series(chosen.finished, chosen.churned)
    wanted = [s for s in wanted if not chosen.only or s.name in chosen.only]
    points = asyncio.run(_measure(wanted, chosen.rounds, {"autovacuum_naptime": chosen.naptime}))
    titles = {series.name: series.title for series in wanted}
    text = "\n".join(f"## {t}\n\n{table_text(table)}" for t, table in sections(points, titles))
    print(text)
    _write_json(points, chosen.json)
    if chosen.chart is not None:
        from bench.flat.chart import draw

        draw(points, titles, chosen.chart)
        facts = [*machine().items(), ("rounds", chosen.rounds), ("naptime", chosen.naptime)]
        listed = ", ".join(f"{name} {value}" for name, value in facts)
        heading = f"# Cost against size\n\nWritten by `make bench-flat`: {listed}.\n\n"
        (chosen.chart / "flat.md").write_text(heading + text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.flat",
        description="Measures the costs of calls while tables, queues or the past grow, on a"
        " PostgreSQL of its own (below TMPDIR).",
    )
    parser.add_argument("--rounds", type=int, default=25, metavar="N", help="at each size (25)")
    parser.add_argument(
        "--finished",
        type=int,
        default=1_000_000,
        metavar="N",
        help="max finished jobs (1000000)",
    )
    parser.add_argument(
        "--churned", type=int, default=300_000, metavar="N", help="jobs of the churn (300000)"
    )
    names = [series.name for series in all_series(1, 1)]
    parser.add_argument("--only", nargs="+", choices=names, metavar="SERIES", help=", ".join(names))
    parser.add_argument(
        "--naptime", default="10s", metavar="TIME", help="autovacuum_naptime of PostgreSQL (10s)"
    )
    parser.add_argument("--json", type=Path, default=Path("build/bench/flat.json"), metavar="PATH")
    parser.add_argument(
        "--chart", type=Path, metavar="DIR", help="write flat.md, flat.png and flat.svg there"
    )
    return parser.parse_args()


async def _measure(
    wanted: Sequence[Series], rounds: int, settings: Mapping[str, str]
) -> list[Point]:
    async with running_postgres(settings) as postgres:
        return [point for series in wanted async for point in run(postgres, series, rounds)]


def _write_json(points: Sequence[Point], path: Path) -> None:
    ratios = {
        name: {operation: ratio(own, operation) for operation in OPERATIONS}
        for name, own in by_series(points).items()
    }
    document = {
        "machine": machine(),
        "ratios": ratios,
        "points": [asdict(point) for point in points],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
