"""`python -m bench`: starts everything, measures, prints, writes."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import tempfile
from itertools import chain
from pathlib import Path

from bench.measure.checkout import THIS, Checkout
from bench.measure.postgres import Postgres, running_postgres
from bench.options import Options, read_options
from bench.plan import Findings, measurements, run
from bench.report.record import Record, write_json, write_markdown
from bench.report.summary import summarise
from bench.systems.ceiling import ceiling_system
from bench.systems.echo import echo_system
from bench.systems.jobsvc import jobsvc_systems
from bench.systems.peers import PeersMissing, peer_systems
from bench.systems.secured import OPEN, Access, secured
from bench.systems.system import System


def main() -> int:
    """Runs the benchmarks; exit code 1 when a result was wrong, 2 when they cannot run."""
    options = read_options()
    if options.chart_folder is not None and importlib.util.find_spec("matplotlib") is None:
        print("bench: --chart needs matplotlib: pip install 'jobsvc[bench]'", file=sys.stderr)
        return 2
    try:
        findings = asyncio.run(_measure(options))
    except PeersMissing as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 2
    if not findings.samples and not findings.wrong:
        print("bench: none of these systems has any of these scenarios", file=sys.stderr)
        return 2
    settings = {"rounds": options.rounds, "jobs": options.jobs, "backlog": options.backlog}
    record = Record(settings, findings.samples, findings.wrong, options.label)
    print(record.text())
    for wrong in findings.wrong:
        print(f"WRONG: {wrong}")
    write_json(record, options.json_path)
    if options.chart_folder is not None:
        from bench.report.chart import draw

        draw(summarise(findings.samples), options.chart_folder)
        write_markdown(record, options.chart_folder / "results.md")
    return 1 if findings.wrong else 0


async def _measure(options: Options) -> Findings:
    with tempfile.TemporaryDirectory(prefix="jobsvc-bench-") as folder:
        access = secured(Path(folder)) if options.secured else OPEN
        async with running_postgres() as postgres:
            systems = chosen_systems(postgres, options, access)
            planned = measurements(systems, options.scenarios, options.rounds)
            return await run(postgres, planned, options.jobs)


def chosen_systems(postgres: Postgres, options: Options, access: Access = OPEN) -> list[System]:
    """The systems of a run; those that ours are compared with right after ours. Ours are reached by
    `access`."""
    systems = [ceiling_system(postgres), echo_system(postgres, access=access)]
    own = jobsvc_systems(postgres, options.backlog, access=access, is_read=options.metrics)
    if not options.label:
        systems += own
    else:
        other = Checkout(options.beside) if options.beside else THIS
        arguments = ("--processes", str(options.processes)) if options.processes else ()
        others = jobsvc_systems(postgres, options.backlog, other, options.label, arguments)
        systems += chain.from_iterable(zip(own, others, strict=True))
    if options.secured:
        systems.insert(2, echo_system(postgres, options.label))
    if options.peers:
        systems += peer_systems(options.backlog)
    wanted = options.systems
    return [s for s in systems if not wanted or s.name.removesuffix(options.label) in wanted]


if __name__ == "__main__":
    sys.exit(main())
