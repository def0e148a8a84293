"""The run: opens streams phase by phase, and takes readings in between."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from grpc import aio

from bench.measure.child_process import Child, child_process
from bench.measure.jobsvc_processes import servers
from bench.measure.observer import observing
from bench.measure.postgres import fresh_database, running_postgres
from bench.measure.process_tree import cpu_seconds
from bench.measure.sample import WrongResult
from bench.measure.statement import sql
from bench.measure.workload import INPUT
from bench.streams import bystander, large, worker
from bench.streams.collector import Lag, LagCollector, collecting
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub

_FOLLOWERS = 2
_CHANNELS = 4
_WINDOW = 5
#: Jobs of a stream that run; each changes twice.
_MOVING = 2
_BATCH = 500
#: Jobs that never run: one in each stream, so that it stays open.
_RESTING = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """How many streams, for how long: two changes a second for five streams."""

    status_streams: int = 5_000
    work_streams: int = 200
    seconds: float = 10.0

    @property
    def jobs(self) -> int:
        """The jobs that run."""
        return _MOVING * self.status_streams

    @property
    def opening_seconds(self) -> float:
        """Time enough to create the jobs and to open the streams."""
        return 10 + self.status_streams / 250


@dataclass(frozen=True, slots=True)
class Finding:
    """The readings of one phase of the run: numbers by name, and how late the loop was."""

    phase: str
    numbers: dict[str, float]
    lag: Lag


class _Run:
    def __init__(self, plan: Plan, server: Child, lags: LagCollector) -> None:
        self._plan = plan
        self._server = server
        self._lags = lags
        self._process = psutil.Process(server.pid)
        self.findings: list[Finding] = []

    def rss_kb(self) -> float:
        return self._process.memory_info().rss / 1024

    async def note(self, phase: str, numbers: dict[str, float]) -> None:
        finding = Finding(phase, numbers, await self._lags.take())
        self.findings.append(finding)
        readings = ", ".join(f"{name} {value:,.1f}" for name, value in numbers.items())
        lag = f"loop at most {finding.lag.max_ms:.0f} ms late"
        print(f"{phase}: {readings}, {lag}", file=sys.stderr, flush=True)

    async def stand_by(self, phase: str, standing_by: Child) -> None:
        """Lets the bystander create, and notes the CPU that the server uses meanwhile."""
        before = cpu_seconds(self._server.pid)
        standing_by.start_work()
        numbers = await standing_by.result()
        used = cpu_seconds(self._server.pid) - before
        await self.note(phase, {**numbers, "server CPU %": 100 * used / self._plan.seconds})

    async def open(self, phase: str, children: Sequence[Child], streams: int) -> None:
        """Opens streams, and notes the memory that they take."""
        before = self.rss_kb()
        for opener in children:
            opener.start_work()
        for opener in children:
            await opener.result()
        grown = self.rss_kb() - before
        await self.note(phase, {"streams": streams, "KB a stream": grown / streams})


async def run(plan: Plan) -> list[Finding]:
    """Measures all phases, on a PostgreSQL of its own.

    Raises:
        WrongResult: a change was not delivered, or a job did not end as it should.
    """
    async with AsyncExitStack() as up:
        postgres = await up.enter_async_context(running_postgres())
        lags = await up.enter_async_context(collecting())
        dsn = await up.enter_async_context(fresh_database(postgres.dsn, "streams"))
        [server] = await up.enter_async_context(servers(postgres, dsn, 1, lags.environment))
        running = _Run(plan, server, lags)

        async def start(name: str, module: str, *arguments: object) -> Child:
            command = ["-m", f"bench.streams.{module}", server.detail, *map(str, arguments)]
            process = child_process(name, command, "ready", postgres.log_folder)
            return await up.enter_async_context(process)

        async with observing(dsn) as connection:
            for queue in (worker.QUEUE, bystander.QUEUE, large.QUEUE):
                await connection.execute(sql("pause_queue"), queue, False)
        standing_by = await start("bystander", "bystander", plan.seconds)
        await lags.take()
        await running.stand_by("nothing else", standing_by)

        begin = datetime.now(UTC) + timedelta(seconds=plan.opening_seconds)
        files = await _create(plan, server.detail, begin, postgres.log_folder)
        followers = [
            await start(f"follower-{n}", "follower", _CHANNELS, file)
            for n, file in enumerate(files)
        ]
        working = await start("worker", "worker", plan.work_streams, _WINDOW)
        await lags.take()
        await running.open("Work streams opened", [working], plan.work_streams)
        await running.open("status streams opened", followers, plan.status_streams)
        left = (begin - datetime.now(UTC)).total_seconds()
        if left < 0:
            raise WrongResult(f"opening took {-left:.0f} s too long")
        await _load(running, plan, followers, standing_by, left)
        async with AsyncExitStack() as closing:
            for leaver in (*followers, working):
                closing.push_async_callback(leaver.leave)
        await running.note("streams closed", {"MB": running.rss_kb() / 1024})

        asker = await start("large", "large")
        await lags.take()
        for kind in large.KINDS:
            asker.start_work()
            await running.note(kind, await asker.result())
        return running.findings


async def _load(
    running: _Run, plan: Plan, followers: Sequence[Child], standing_by: Child, left: float
) -> None:
    await asyncio.sleep(max(0.0, left - 1))
    await running.note("streams idle", {"seconds": left - 1, "MB": running.rss_kb() / 1024})
    for follower in followers:
        follower.start_work()
    await running.stand_by("status changes", standing_by)
    results = [await follower.result() for follower in followers]
    updates = sum(result["updates"] for result in results)
    if updates < plan.jobs:
        raise WrongResult(f"{updates:,} updates of {plan.jobs:,} jobs")
    numbers = {"updates/s": updates / plan.seconds}
    for part in ("p50", "p99", "max"):
        numbers[f"status {part}"] = max(result[f"status {part}"] for result in results)
    await running.note("status changes, delivered", numbers)


async def _create(plan: Plan, target: str, begin: datetime, folder: Path) -> list[Path]:
    """Creates all jobs, each to run at its time; returns a file for each follower, with a line for
    each stream."""
    async with aio.insecure_channel(target) as channel:
        stub: JobServiceAsyncStub = JobServiceStub(channel)
        later = begin + timedelta(hours=1)
        resting = await _batch(stub, [later] * _RESTING)
        step = timedelta(seconds=plan.seconds / plan.jobs)
        moving: list[str] = []
        for start in range(0, plan.jobs, _BATCH):
            part = range(start, min(start + _BATCH, plan.jobs))
            moving += await _batch(stub, [begin + n * step for n in part])
    lines = [
        " ".join([*moving[n :: plan.status_streams], resting[n % _RESTING]])
        for n in range(plan.status_streams)
    ]
    files = [folder / f"streams-{n}" for n in range(_FOLLOWERS)]
    for n, file in enumerate(files):
        file.write_text("\n".join(lines[n::_FOLLOWERS]))
    return files


async def _batch(stub: JobServiceAsyncStub, times: Sequence[datetime]) -> list[str]:
    payload = payload_pb2.Payload(json_text=INPUT)
    request = pb.BatchCreateJobsRequest()
    for time in times:
        spec = job_pb2.JobSpec(queue=worker.QUEUE, input=payload)
        spec.schedule_time.FromDatetime(time)
        request.requests.add(spec=spec)
    return [r.job.id for r in (await stub.BatchCreateJobs(request)).responses]
