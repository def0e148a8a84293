"""Jobs outlive a server that is away, stands still or has no database for longer than a lease."""

import asyncio
import time

import grpc
import pytest
from grpc import aio

from jobsvc.client import JobState, RetryPolicy
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.database_link import database_link
from tests.api.support.refusal import refused
from tests.e2e.support.caller import Caller
from tests.e2e.support.stage import LEASE_SECONDS, Stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

pytestmark = pytest.mark.xdist_group("e2e")

ONCE = RetryPolicy(max_attempts=1)
AWAY_SECONDS = 60
_AWAY = (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
#: Every lease ran out a while ago.
RUN_OUT = "SELECT FROM lease HAVING max(until) < clock_timestamp() - interval '1 second'"


async def test_work_that_ends_while_the_server_is_away_counts(stage: Stage) -> None:
    server = await stage.serve()
    workers = [await stage.work(server.target, "--concurrency", "1") for _ in range(2)]
    async with stage.calls(server.target) as caller:
        job_ids = [await caller.create("nap", {"seconds": 2}, retry=ONCE) for _ in range(2)]
        await eventually(lambda: len(stage.history.runs(*job_ids)) == 2, what="both run")
        server.kill()
        doomed = workers[1]
        doomed.kill()
        (lost,) = [run.job_id for run in stage.history.runs(*job_ids) if run.pid == doomed.pid]
        (kept,) = {*job_ids} - {lost}
        # It comes back when the server has looked, not before.
        workers[0].freeze()
        await eventually(lambda: fetch(stage.dsn, RUN_OUT), what="the end of the leases")
        server = await stage.serve(port=server.port)
        ready_time = time.monotonic()
        await server.has_looked_at_lapsed_leases()
        workers[0].thaw()

        await caller.follow([kept, lost])
        # Promised is lease and 5 s, from the moment from which somebody listened.
        assert time.monotonic() - ready_time < LEASE_SECONDS + 5
        jobs = await stage.check(caller, job_ids)
        assert jobs[kept].status.state is JobState.COMPLETED
        assert jobs[lost].status.state is JobState.FAILED
        assert jobs[lost].status.error is not None
        assert jobs[lost].status.error.reason == "LEASE_EXPIRED"
        assert len(stage.history.runs(kept)) == 1


async def test_work_that_ends_while_the_database_is_away_counts(stage: Stage) -> None:
    way = stage.folder / "way"
    way.mkdir()
    async with database_link(stage.dsn, way) as link:
        server = await stage.serve(dsn=link.dsn)
        workers = [await stage.work(server.target, "--concurrency", "2") for _ in range(2)]
        async with stage.calls(server.target) as caller:
            naps = [1, 2, 3, 8]
            job_ids = [await caller.create("nap", {"seconds": n}, retry=ONCE) for n in naps]
            await eventually(lambda: len(stage.history.runs(*job_ids)) == 4, what="all run")
            await link.cut()
            # It comes back when the server has looked, not before.
            workers[0].freeze()
            await eventually(lambda: fetch(stage.dsn, RUN_OUT), what="the end of the leases")
            await link.mend()
            await server.has_looked_at_lapsed_leases()
            workers[0].thaw()
            await caller.follow(job_ids)
            jobs = await stage.check(caller, job_ids)
    assert {job.status.state for job in jobs.values()} == {JobState.COMPLETED}
    assert len(stage.history.runs(*job_ids)) == 4


@pytest.mark.xdist_group("slow-faults")
@pytest.mark.timeout(240)
async def test_database_that_is_away_for_a_minute_is_said_and_costs_nothing(stage: Stage) -> None:
    way = stage.folder / "way"
    way.mkdir()
    async with database_link(stage.dsn, way) as link:
        server = await stage.serve(dsn=link.dsn)
        await stage.work(server.target)
        async with (
            Caller(server.target, stage.history, follow_seconds=150) as caller,
            aio.insecure_channel(server.target) as channel,
            asyncio.TaskGroup() as tasks,
        ):
            # One job ends meanwhile, one goes on.
            job_ids = [
                await caller.create("nap", {"seconds": n}, retry=ONCE)
                for n in (2, AWAY_SECONDS + 5)
            ]
            await eventually(lambda: len(stage.history.runs(*job_ids)) == 2, what="both run")
            following = tasks.create_task(caller.follow(job_ids))
            await link.cut()
            cut_time = time.monotonic()
            creations = [tasks.create_task(caller.create("nap", retry=ONCE)) for _ in range(5)]
            callers = JobServiceStub(channel)
            while time.monotonic() - cut_time < AWAY_SECONDS:
                for call in (
                    callers.CreateJob(pb.CreateJobRequest(spec={"queue": "nap"})),
                    callers.GetJob(pb.GetJobRequest(job_id=job_ids[0])),
                ):
                    refusal = await refused(call)
                    assert refusal.what == _AWAY, refusal
                    assert "RetryInfo" in refusal.details
                await asyncio.sleep(0.5)  # A caller's patience.
            assert not any(task.done() for task in (following, *creations))
            await link.mend()
            job_ids += [await creation for creation in creations]
            await following
            await caller.follow(job_ids)
            jobs = await stage.check(caller, job_ids)
    assert {job.status.state for job in jobs.values()} == {JobState.COMPLETED}
    assert len(stage.history.runs(*job_ids)) == len(job_ids)


async def test_machine_that_stands_still_costs_its_jobs_nothing(stage: Stage) -> None:
    """Server and worker freeze together, and the server is the first to go on."""
    server = await stage.serve()
    worker = await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        job_ids = [await caller.create("nap", {"seconds": n / 2}, retry=ONCE) for n in range(2, 8)]
        await eventually(lambda: len(stage.history.runs(*job_ids)) == 6, what="all run")
        worker.freeze()
        server.freeze()
        await eventually(lambda: fetch(stage.dsn, RUN_OUT), what="the end of the leases")
        server.thaw()
        await server.has_looked_at_lapsed_leases()
        worker.thaw()
        await caller.follow(job_ids)
        jobs = await stage.check(caller, job_ids)
        assert {job.status.state for job in jobs.values()} == {JobState.COMPLETED}
        assert len(stage.history.runs(*job_ids)) == 6


async def test_worker_leaves_a_server_that_stands_still_for_another_one(stage: Stage) -> None:
    servers = [await stage.serve(lease_seconds=6) for _ in range(2)]
    worker = await stage.work(f"ipv4:{servers[0].target},{servers[1].target}")
    presence = "SELECT server_id FROM worker WHERE worker_id = $1"
    (row,) = await eventually(lambda: fetch(stage.dsn, presence, worker.id), what="presence")
    one, other = sorted(servers, key=lambda server: f"-{server.pid}-" not in row["server_id"])
    async with stage.calls(other.target) as caller:
        job_id = await caller.create("nap", {"seconds": 2}, retry=ONCE)
        await eventually(lambda: stage.history.runs(job_id), what="the run")
        one.freeze()
        await caller.follow([job_id])
        jobs = await stage.check(caller, [job_id])
        assert jobs[job_id].status.state is JobState.COMPLETED
        assert len(stage.history.runs(job_id)) == 1
