"""A server that is killed together with its PostgreSQL loses nothing and does nothing twice."""

import asyncio
import time

import psutil
import pytest

from tests.e2e.support.caller import Caller
from tests.e2e.support.history import Create
from tests.e2e.support.processes import Server
from tests.e2e.support.proxy import proxy
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

#: Long enough for leases to outlive the restart.
LEASES = {"lease_seconds": 15, "extend_interval_seconds": 1}

REQUEST_ID = "6f1ad3a0-3c42-4a6b-9a07-2f9d1c0a7b55"

pytestmark = pytest.mark.xdist_group("e2e")


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def postgres_of(server: Server) -> list[psutil.Process]:
    """The processes of the embedded PostgreSQL."""
    found = [
        p for p in psutil.Process(server.pid).children(recursive=True) if "postgres" in p.name()
    ]
    assert found
    return found


async def test_killed_server_takes_postgres_along_and_comes_back_with_its_data(
    stage: Stage,
) -> None:
    server = await stage.serve(embedded=True)
    async with stage.calls(server.target) as caller:
        await caller.client.declare_queue("nap")
        job_id = await caller.create("nap")
    postgres = postgres_of(server)
    server.kill()
    await eventually(lambda: not any(map(_alive, postgres)), what="end of PostgreSQL")
    back = await stage.serve(embedded=True, port=server.port)
    assert back.port == server.port
    await stage.work(back.target)
    async with stage.calls(back.target) as caller:
        await caller.follow([job_id])
        await stage.check(caller, [job_id], stage.embedded_dsn)


async def test_server_killed_while_jobs_run_and_creates_are_in_flight(stage: Stage) -> None:
    server = await stage.serve(embedded=True, **LEASES)
    worker = await stage.work(server.target, "--concurrency", "16")
    async with stage.calls(server.target) as caller, asyncio.TaskGroup() as tasks:
        # These run over the whole outage; some end within it, some after it.
        long = [await caller.create("nap", {"seconds": 1 + n / 2}) for n in range(8)]
        await eventually(
            lambda: len(stage.history.runs(*long)) == 8, seconds=10, what="the long jobs run"
        )
        creators = [tasks.create_task(_create(caller, 60)) for _ in range(8)]
        await eventually(
            lambda: len(_acknowledged(stage)) > 100, seconds=20, what="creates are under way"
        )

        server.kill()
        kill_time = time.monotonic()
        assert server.exit_code == -9
        assert sum(not creator.done() for creator in creators) == 8, "no create was in flight"
        acknowledged = len(_acknowledged(stage))
        assert not any(job_id in caller.ended for job_id in long)
        await stage.serve(embedded=True, port=server.port, **LEASES)
        short = [job_id for creator in creators for job_id in await creator]
        assert len(_acknowledged(stage)) > acknowledged

        async with asyncio.timeout(30):
            await caller.follow([*long, *short])
        assert time.monotonic() - kill_time < 30
        jobs = await stage.check(caller, [*long, *short], stage.embedded_dsn)
        assert len(jobs) == 8 + 8 * 60
        # The worker came back with its leases: what ran has counted, and was not run again.
        for job_id in long:
            assert (jobs[job_id].succeeded, jobs[job_id].status.attempt) == (True, 1)
            assert len(stage.history.runs(job_id)) == 1
        assert worker.exit_code is None


async def _create(caller: Caller, count: int) -> list[str]:
    return [await caller.create("nap") for _ in range(count)]


def _acknowledged(stage: Stage) -> list[str]:
    events = stage.history.events()
    return [e.job_id for e in events if isinstance(e, Create) and e.result == "ok"]


async def test_create_that_was_committed_and_never_answered_makes_one_job(stage: Stage) -> None:
    server = await stage.serve(embedded=True)
    async with (
        proxy(server.port) as between,
        stage.calls(between.target) as caller,
        asyncio.TaskGroup() as tasks,
    ):
        await caller.client.declare_queue("nap")
        between.muted = True
        creation = tasks.create_task(caller.client.create("nap", request_id=REQUEST_ID))
        count = "SELECT FROM job WHERE request_id = $1"
        await eventually(lambda: fetch(stage.embedded_dsn, count, REQUEST_ID), what="the commit")
        server.kill()
        assert not creation.done()
        between.muted = False
        back = await stage.serve(embedded=True, port=server.port)
        job = await creation
        assert job.existing, "the first try was not the one that made the job"
        assert len(await fetch(stage.embedded_dsn, count, REQUEST_ID)) == 1
        stage.history.note(Create(request_id=REQUEST_ID, result="ok", job_id=job.id))
        await stage.work(back.target)
        await caller.follow([job.id])
        await stage.check(caller, [job.id], stage.embedded_dsn)
