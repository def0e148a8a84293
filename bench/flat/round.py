"""One round: a hundred jobs through their life, with the calls around them, each timed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from grpc import aio

from bench.flat.point import OPERATIONS
from bench.measure.workload import INPUT, QUEUE
from jobsvc.dispatch.planner import LATE_SECONDS
from jobsvc.domain.job import JobOptions, JobState, NewJob
from jobsvc.domain.job_id import new_job_id
from jobsvc.domain.lease import Extension, QueuePosition, Slot
from jobsvc.domain.lease_end import End
from jobsvc.domain.outcome import Finish
from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import server_defaults
from jobsvc.settings import Settings
from jobsvc.store.store import Store, open_store
from jobsvc.v1 import job_pb2, job_service_pb2, queue_service_pb2
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub

#: Jobs in a statement.
BATCH = 100
_MAX_LAPSED = 500
_SETTINGS = Settings()
_OPTIONS = JobOptions(
    queue=QUEUE,
    priority=0,
    schedule_time=None,
    expire_time=None,
    ttl_seconds=None,
    run_policy=server_defaults(_SETTINGS),
    labels={},
    output_schema_id=None,
)


@dataclass(slots=True)
class Times:
    """Milliseconds that each operation took so far."""

    taken: dict[str, list[float]] = field(default_factory=lambda: {n: [] for n in OPERATIONS})

    @asynccontextmanager
    async def of(self, operation: str) -> AsyncIterator[None]:
        """Times the block."""
        began = time.perf_counter()
        yield
        self.taken[operation].append(1000 * (time.perf_counter() - began))


class Bench:
    """Runs statements through a store of its own, and calls through a server."""

    def __init__(self, store: Store, channel: aio.Channel) -> None:
        self.store = store
        #: Whether a claim begins where the last one ended, as the dispatcher's do.
        self.claims_onward = False
        self._begin: QueuePosition | None = None
        self._jobs = JobServiceStub(channel)
        self._queues = QueueServiceStub(channel)

    async def round(self, times: Times) -> None:
        """Runs every operation once; the oldest of the waiting jobs are leased and ended."""
        jobs = [new_job() for _ in range(BATCH)]
        async with times.of("create 100"):
            _no_errors(await self.store.jobs.creates.submit(jobs))
        async with times.of("GetJob"):
            await self._jobs.GetJob(job_service_pb2.GetJobRequest(job_id=jobs[-1].id))
        await self._stats(times)
        async with times.of("StreamJobStatus"):
            await self._open_stream(jobs[-1].id)
        await self._lists(times)
        slots = [Slot("bench", _SETTINGS.lease_seconds)] * BATCH
        async with times.of("lease 100"):
            claimed = await self.store.claims.claim(QUEUE, slots, self._begin)
            leased = [job.id for job in claimed.jobs()]
        if self.claims_onward and claimed.last:
            self._begin = claimed.last.earlier(LATE_SECONDS)
        if len(leased) < BATCH:
            raise RuntimeError(f"{len(leased)} of {BATCH} jobs were leased")
        async with times.of("extend 100"):
            _no_errors(await self.store.leases.extensions.submit([Extension(i) for i in leased]))
        async with times.of("find lapsed leases"):
            await self.store.leases.lapsed(_MAX_LAPSED)
        done = Finish(JobState.COMPLETED)
        ends = [End(lease_id, done, _SETTINGS.retention_seconds) for lease_id in leased]
        async with times.of("finish 100"):
            _no_errors(await self.store.lease_ends.ends.submit(ends))

    async def _stats(self, times: Times) -> None:
        one = queue_service_pb2.GetQueueStatsRequest(queues=[QUEUE])
        async with times.of("GetQueueStats"):
            await self._queues.GetQueueStats(one)
        async with times.of("GetQueueStats of all"):
            await self._queues.GetQueueStats(queue_service_pb2.GetQueueStatsRequest())

    async def _lists(self, times: Times) -> None:
        """A page of 50 jobs, and one of the few in a state that hardly any is in."""
        async with times.of("ListJobs"):
            await self._jobs.ListJobs(job_service_pb2.ListJobsRequest())
        failed = job_service_pb2.JobFilter(states=[job_pb2.JOB_STATE_FAILED])
        async with times.of("ListJobs FAILED"):
            await self._jobs.ListJobs(job_service_pb2.ListJobsRequest(filter=failed))

    async def _open_stream(self, job_id: str) -> None:
        request = job_service_pb2.StreamJobStatusRequest(job_ids=[job_id])
        call = self._jobs.StreamJobStatus(request)
        async for response in call:
            if response.HasField("synced"):
                break
        call.cancel()


@asynccontextmanager
async def bench(dsn: str, target: str) -> AsyncIterator[Bench]:
    """A store on `dsn` and a channel to `target`, for the length of the block."""
    async with (
        open_store(dsn, "bench", pool_size=2, statement_seconds=30, max_queues=1000) as store,
        aio.insecure_channel(target) as channel,
    ):
        yield Bench(store, channel)


def new_job() -> NewJob:
    """A job of the measured queue, as made from a request that leaves all options open."""
    return NewJob(new_job_id(), _OPTIONS, Owner(), INPUT)


def _no_errors(results: object) -> None:
    assert isinstance(results, list | tuple)
    if wrong := [r for r in results if isinstance(r, Exception) or r in (None, False)]:
        raise RuntimeError(f"{len(wrong)} of {len(results)} were refused: {wrong[0]!r}")
