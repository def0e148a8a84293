"""Jobs created, leased and finished, as fast as one store goes."""

from __future__ import annotations

import asyncio
import time
from statistics import quantiles

from bench.flat.round import new_job
from bench.measure.workload import QUEUE
from jobsvc.domain.job import JobState
from jobsvc.domain.lease import Slot
from jobsvc.domain.lease_end import End
from jobsvc.domain.outcome import Finish
from jobsvc.store.store import Store

_BATCH = 500
_LOOPS = 2
_SECONDS = 30.0


async def churn(store: Store, jobs: int) -> dict[str, float]:
    """Puts jobs into the queue, and leases and ends as many, the oldest; returns the speed, and how
    long a lease statement took."""
    left = jobs
    times: list[float] = []

    async def loop() -> None:
        nonlocal left
        while left > 0:
            left -= _BATCH
            await store.jobs.creates.submit([new_job() for _ in range(_BATCH)])
            began = time.perf_counter()
            leased = await store.claims.lease(QUEUE, [Slot("bench", _SECONDS)] * _BATCH)
            times.append(1000 * (time.perf_counter() - began))
            done = Finish(JobState.COMPLETED)
            await store.lease_ends.ends.submit([End(job.id, done, 3600.0) for job in leased])

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(_LOOPS):
            tasks.create_task(loop())
    parts = quantiles(times, n=20)
    return {
        "jobs/s": jobs / (time.perf_counter() - began),
        "lease 500 p50 ms": parts[9],
        "p95 ms": parts[18],
    }
