"""`python -m bench`: puts everything up, measures, prints, writes."""

from __future__ import annotations

import asyncio
import importlib.util
import sys

from bench.ceiling_system import ceiling_system
from bench.echo_system import echo_system
from bench.jobsvc_system import jobsvc_systems
from bench.options import Options, read_options
from bench.peer_systems import PeersMissing, peer_systems
from bench.plan import Findings, run, turns
from bench.record import Record, write_json, write_markdown
from bench.stack import Stack, stack
from bench.summary import summarise
from bench.system import System


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
    record = Record(settings, findings.samples, findings.wrong)
    print(record.text())
    for wrong in findings.wrong:
        print(f"WRONG: {wrong}")
    write_json(record, options.json_path)
    if options.chart_folder is not None:
        from bench.chart import draw

        draw(summarise(findings.samples), options.chart_folder)
        write_markdown(record, options.chart_folder / "results.md")
    return 1 if findings.wrong else 0


async def _measure(options: Options) -> Findings:
    async with stack() as postgres:
        systems = _systems(postgres, options)
        todo = turns(systems, options.scenarios, options.rounds)
        return await run(postgres, todo, options.jobs)


def _systems(postgres: Stack, options: Options) -> list[System]:
    systems = [ceiling_system(postgres), echo_system(postgres)]
    systems += jobsvc_systems(postgres, options.backlog)
    if options.peers:
        systems += peer_systems(options.backlog)
    return [s for s in systems if not options.systems or s.name in options.systems]


if __name__ == "__main__":
    sys.exit(main())
