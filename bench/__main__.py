"""`python -m bench`: starts everything, measures, prints."""

import asyncio
import sys

from bench.drain import measure_drain
from bench.latency import measure_latency
from bench.stack import server, workers

_DRAIN_JOBS = 10_000


def main() -> int:
    """Runs the benchmarks; exit code 1 when a job was lost or ended more than once."""
    with server() as target:
        drain = asyncio.run(measure_drain(target, _DRAIN_JOBS))
        with workers(target, concurrency=8):
            latency = asyncio.run(measure_latency(target))
    print(f"create -> terminal status, idle   {latency.median:6.1f} ms  (p95 {latency.p95:.1f})")
    for step, milliseconds in latency.steps.items():
        print(f"    {step:<28}  {milliseconds:6.2f} ms")
    print(f"create in batches of 500          {drain.created_per_second:7,.0f} jobs/s")
    print(f"drain, one worker process         {drain.drained_per_second:7,.0f} jobs/s")
    print(f"    {drain.completed:,} of {_DRAIN_JOBS:,} completed, {drain.not_once} more than once")
    return 0 if drain.completed == _DRAIN_JOBS and not drain.not_once else 1


if __name__ == "__main__":
    sys.exit(main())
