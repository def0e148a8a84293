"""The run: opens watches, lets jobs change, and counts what that takes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil
from grpc import aio

from bench.measure.child_process import Child, child_process
from bench.measure.jobsvc_processes import servers
from bench.measure.observer import counting, observing
from bench.measure.postgres import fresh_database, running_postgres
from bench.measure.process_tree import cpu_seconds
from bench.measure.sample import WrongResult
from bench.measure.statement import sql
from bench.measure.workload import INPUT
from bench.streams import worker
from bench.watches.watcher import LABEL
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub

_WATCHERS = 2
_CHANNELS = 4
_WORK_STREAMS = 20
_WINDOW = 50
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """How many watches of one queue, which changes how often, and for how long."""

    watches: int = 5_000
    changes_per_second: int = 2_000
    seconds: float = 10.0

    @property
    def jobs(self) -> int:
        """The jobs that run: each begins and ends."""
        return int(self.changes_per_second * self.seconds / 2)


async def run(plan: Plan) -> dict[str, float]:
    """Measures, on a PostgreSQL of its own; returns readings by name.

    Raises:
        WrongResult: opening took too long, or a change was not delivered.
    """
    async with AsyncExitStack() as up:
        postgres = await up.enter_async_context(running_postgres())
        dsn = await up.enter_async_context(fresh_database(postgres.dsn, "watches"))
        [server] = await up.enter_async_context(servers(postgres, dsn))
        async with observing(dsn) as connection, counting(dsn) as counters:
            await connection.execute(sql("pause_queue"), worker.QUEUE, False)

            async def start(name: str, module: str, *arguments: object) -> Child:
                command = ["-m", module, server.detail, *map(str, arguments)]
                process = child_process(name, command, "ready", postgres.log_folder)
                return await up.enter_async_context(process)

            begin = datetime.now(UTC) + timedelta(seconds=5 + plan.watches / 300)
            await _create(plan, server.detail, begin)
            share = plan.watches // _WATCHERS
            watchers = [
                await start(
                    f"watcher-{n}",
                    "bench.watches.watcher",
                    *(_CHANNELS, worker.QUEUE, _jobs_of(plan, n * share, share), n * share, share),
                )
                for n in range(_WATCHERS)
            ]
            working = await start("worker", "bench.streams.worker", _WORK_STREAMS, _WINDOW)
            working.start_work()
            await working.result()

            process = psutil.Process(server.pid)
            before = process.memory_info().rss
            for opener in watchers:
                opener.start_work()
            for opener in watchers:
                await opener.result()
            numbers = {"KB a watch": (process.memory_info().rss - before) / 1024 / plan.watches}
            left = (begin - datetime.now(UTC)).total_seconds()
            if left < 0:
                raise WrongResult(f"opening took {-left:.0f} s too long")
            await asyncio.sleep(left)
            used, reads = cpu_seconds(server.pid), await counters.fetchval(sql("job_reads"))
            for opener in watchers:
                opener.start_work()
            results = [await opener.result() for opener in watchers]
            used = cpu_seconds(server.pid) - used
            reads = await counters.fetchval(sql("job_reads")) - reads
        updates = sum(result["updates"] for result in results)
        if updates < plan.jobs:
            raise WrongResult(f"{updates:,} updates of {plan.jobs:,} jobs")
        numbers |= {
            "updates": updates,
            "reads": reads,
            "server CPU %": 100 * used / plan.seconds,
        }
        for part in ("p50", "p99", "max"):
            numbers[f"{part} ms"] = max(result[f"change {part}"] for result in results)
        return numbers


def _jobs_of(plan: Plan, first: int, count: int) -> int:
    """How many jobs the watches from number `first` on are about."""
    return sum(first <= n % plan.watches < first + count for n in range(plan.jobs))


async def _create(plan: Plan, target: str, begin: datetime) -> None:
    """Creates the jobs, each to run at its time."""
    step = timedelta(seconds=plan.seconds / plan.jobs)
    payload = payload_pb2.Payload(json_text=INPUT)
    async with aio.insecure_channel(target) as channel:
        stub: JobServiceAsyncStub = JobServiceStub(channel)
        for start in range(0, plan.jobs, _BATCH):
            request = pb.BatchCreateJobsRequest()
            for n in range(start, min(start + _BATCH, plan.jobs)):
                spec = job_pb2.JobSpec(
                    queue=worker.QUEUE, input=payload, labels={LABEL: str(n % plan.watches)}
                )
                spec.schedule_time.FromDatetime(begin + n * step)
                request.requests.add(spec=spec)
            await stub.BatchCreateJobs(request)
