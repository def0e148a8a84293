"""`python -m bench.peers [SCENARIO…]`: the peers alone, once each. `make bench-peers` does more."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bench.measure.postgres import running_postgres
from bench.plan import Findings, measurements, run
from bench.report.record import Record, write_json
from bench.scenarios.catalog import SCENARIOS
from bench.systems.peers import PeersMissing, peer_systems

_JOBS = 20_000
_BACKLOG = 1_000_000
_JSON = Path("build/bench/peers.json")


def main() -> int:
    """Exit code 1 when a result was wrong, 2 when they cannot run."""
    scenarios = tuple(sys.argv[1:] or SCENARIOS)
    if unknown := [name for name in scenarios if name not in SCENARIOS]:
        print(f"bench.peers: no scenario {', '.join(unknown)}", file=sys.stderr)
        return 2
    try:
        findings = asyncio.run(_measure(scenarios))
    except PeersMissing as problem:
        print(f"bench.peers: {problem}", file=sys.stderr)
        return 2
    settings = {"rounds": 1, "jobs": _JOBS, "backlog": _BACKLOG}
    record = Record(settings, findings.samples, findings.wrong)
    print(record.text())
    write_json(record, _JSON)
    return 1 if findings.wrong else 0


async def _measure(scenarios: tuple[str, ...]) -> Findings:
    systems = peer_systems(_BACKLOG)
    async with running_postgres() as postgres:
        return await run(postgres, measurements(systems, scenarios, 1), _JOBS)


if __name__ == "__main__":
    sys.exit(main())
