"""The run: follows jobs, lets some of them change, and counts what that takes."""

from __future__ import annotations

import asyncio
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
from bench.streams import bystander, worker
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub

_FOLLOWERS = 2
_WORK_STREAMS = 20
_WINDOW = 50
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """How many jobs over how many streams, how often they change, and for how long."""

    jobs: int = 50_000
    streams: int = 10
    changes_per_second: int = 2_000
    seconds: float = 10.0
    #: The server gives memory back every ten seconds.
    trim_seconds: float = 12.0

    @property
    def moving(self) -> int:
        """The jobs that run: each begins and ends."""
        return min(self.jobs, int(self.changes_per_second * self.seconds / 2))

    @property
    def resting(self) -> int:
        """The jobs that only are followed."""
        return self.jobs - self.moving

    @property
    def lead_seconds(self) -> float:
        """Time enough to create the jobs that run, and to follow them."""
        return 10 + self.moving / 500


def streams_of(job_ids: Sequence[str], streams: int, follower: int) -> list[Sequence[str]]:
    """The jobs of each stream of a follower: streams and jobs are dealt out in turn."""
    return [job_ids[stream::streams] for stream in range(follower, streams, _FOLLOWERS)]


async def run(plan: Plan) -> dict[str, float]:
    """Measures, on a PostgreSQL of its own; returns readings by name.

    Raises:
        WrongResult: following took too long, or a change was not delivered.
    """
    async with AsyncExitStack() as up:
        postgres = await up.enter_async_context(running_postgres())
        dsn = await up.enter_async_context(fresh_database(postgres.dsn, "followed"))
        [server] = await up.enter_async_context(servers(postgres, dsn))
        folder = postgres.log_folder

        async def start(name: str, module: str, *arguments: object) -> Child:
            command = ["-m", module, server.detail, *map(str, arguments)]
            process = child_process(name, command, "ready", folder)
            return await up.enter_async_context(process)

        async with observing(dsn) as connection:
            for queue in (worker.QUEUE, bystander.QUEUE):
                await connection.execute(sql("pause_queue"), queue, False)
        later = datetime.now(UTC) + timedelta(hours=1)
        resting = await _create(server.detail, [later] * plan.resting)
        _write(folder, "resting", plan, resting)
        followers = [
            await start(
                f"follower-{n}",
                "bench.followed.follower",
                *(folder / f"resting-{n}", folder / f"moving-{n}"),
            )
            for n in range(_FOLLOWERS)
        ]
        working = await start("worker", "bench.streams.worker", _WORK_STREAMS, _WINDOW)
        standing_by = await start("bystander", "bench.streams.bystander", plan.seconds)
        await _step([working])
        [alone] = await _step([standing_by])

        before = await _memory(server, plan)
        await _step(followers)
        numbers = {"B a followed job": (await _memory(server, plan) - before) / plan.resting}

        begin = datetime.now(UTC) + timedelta(seconds=plan.lead_seconds)
        step = timedelta(seconds=plan.seconds / plan.moving)
        moving = await _create(server.detail, [begin + n * step for n in range(plan.moving)])
        _write(folder, "moving", plan, moving)
        await _step(followers)
        left = (begin - datetime.now(UTC)).total_seconds()
        if left < 0:
            raise WrongResult(f"following took {-left:.0f} s too long")
        await asyncio.sleep(left)
        used = cpu_seconds(server.pid)
        for follower in followers:
            follower.start_work()
        [beside] = await _step([standing_by])
        used = cpu_seconds(server.pid) - used
        results = [await follower.result() for follower in followers]
        updates = sum(result["updates"] for result in results)
        if updates < plan.moving:
            raise WrongResult(f"{updates:,} updates of {plan.moving:,} jobs")
        numbers |= {"updates/s": updates / plan.seconds, "server CPU %": 100 * used / plan.seconds}
        for part in ("p50", "p99", "max"):
            numbers[f"{part} ms"] = max(result[f"status {part}"] for result in results)
        for name, found in (("alone", alone), ("beside", beside)):
            for part in ("p50", "p99"):
                numbers[f"create {name}, {part} ms"] = found[f"create {part}"]
        return numbers


async def _step(children: Sequence[Child]) -> list[dict[str, float]]:
    """Lets processes take their next step side by side."""
    for child in children:
        child.start_work()
    return [await child.result() for child in children]


async def _memory(server: Child, plan: Plan) -> int:
    """Resident bytes of the server, when it has given back what it can."""
    await asyncio.sleep(plan.trim_seconds)
    found: int = psutil.Process(server.pid).memory_info().rss
    return found


def _write(folder: Path, name: str, plan: Plan, job_ids: Sequence[str]) -> None:
    for n in range(_FOLLOWERS):
        lines = map(" ".join, streams_of(job_ids, plan.streams, n))
        (folder / f"{name}-{n}").write_text("\n".join(lines))


async def _create(target: str, times: Sequence[datetime]) -> list[str]:
    """Creates a job for each time, to run then."""
    payload = payload_pb2.Payload(json_text=INPUT)
    job_ids: list[str] = []
    async with aio.insecure_channel(target) as channel:
        stub: JobServiceAsyncStub = JobServiceStub(channel)
        for start in range(0, len(times), _BATCH):
            request = pb.BatchCreateJobsRequest()
            for time in times[start : start + _BATCH]:
                spec = job_pb2.JobSpec(queue=worker.QUEUE, input=payload)
                spec.schedule_time.FromDatetime(time)
                request.requests.add(spec=spec)
            job_ids += [r.job.id for r in (await stub.BatchCreateJobs(request)).responses]
    return job_ids
