"""Jobs that are born leased, over the wire: what becomes of them when the database's answer is
lost, and that workers of other replicas get their part."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.app import Replica, replica
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.database_link import DatabaseLink
from tests.api.support.fixtures import Create, Status
from tests.api.support.refusal import refused
from tests.api.support.submit_stream import job, submit
from tests.api.support.worker import OK, success
from tests.api.support.worker_stream import HandStream, work
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

BORN_LEASED = """SELECT FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND query LIKE '%leases some of them%'"""

IN_ONE_TRANSACTION = """SELECT lease.xmin = job.xmin FROM lease JOIN job ON id = job_id
WHERE job_id = $1"""


@pytest.fixture
def settings() -> Settings:
    # On another connection than the first creation's the statement would have to be parsed first,
    # and the lock would stop it there.
    return replace(TEST_SETTINGS, statement_seconds=2.0, pool_size=1)


@pytest.fixture
async def server(link: DatabaseLink, settings: Settings) -> AsyncIterator[Replica]:
    """A replica that goes by the link."""
    async with replica(link.dsn, settings) as running:
        yield running


async def born_leased(create: Create, stream: HandStream, sql: asyncpg.Connection) -> job_pb2.Job:
    """A job that was born leased, and is in the hands of the worker."""
    while True:
        job = await create()
        (lease,) = await stream.dispatched()
        assert lease.job_id == job.id
        if await sql.fetchval(IN_ONE_TRANSACTION, job.id):
            return job
        # The queue was still being looked through for its worker.
        assert await stream.report(success(lease)) == [OK]


async def test_job_whose_birth_was_not_answered_comes_to_a_worker_unattempted(
    link: DatabaseLink, create: Create, channel: aio.Channel, dsn: str, sql: asyncpg.Connection
) -> None:
    async with work(channel) as stream:
        before = await born_leased(create, stream, sql)
        async with sql.transaction():
            await sql.execute("LOCK TABLE lease IN SHARE MODE")
            creation = asyncio.ensure_future(create())
            await eventually(lambda: fetch(dsn, BORN_LEASED), what="a job being born leased")
            # The statement is there; what the database says to it is lost.
            link.kill_silently()
        refusal = await refused(creation)
        assert refusal.what == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
        assert link.lost_bytes
        # Nobody creates it again: it is the one that was committed.
        (lease,) = await stream.dispatched()
        newest = await sql.fetchval("SELECT id::text FROM job ORDER BY id DESC LIMIT 1")
        assert before.id != newest == lease.job_id
        assert lease.attempt == 1
        assert await stream.report(success(lease)) == [OK]


async def test_workers_of_other_replicas_get_jobs_while_the_callers_of_one_are_busy(
    create: Create,
    channel: aio.Channel,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
) -> None:
    """No job is created but on one replica, whose worker is never full."""
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as elsewhere,
        work(channel, window=4, worker_id="near") as near,
        work(elsewhere, window=4, worker_id="far") as far,
    ):
        ids = [(await create()).id for _ in range(8)]
        here: list[str] = []
        there: list[str] = []
        while len(here) < 4:
            here += [lease.job_id for lease in await near.dispatched()]
        while len(there) < 4:
            there += [lease.job_id for lease in await far.dispatched()]
        assert sorted(here + there) == sorted(ids)


async def test_answer_of_a_creation_has_the_job_as_it_was_created(
    create: Create, channel: aio.Channel, status: Status, sql: asyncpg.Connection
) -> None:
    async with work(channel) as stream:
        job = await born_leased(create, stream, sql)
        assert job.status.state == job_pb2.JOB_STATE_PENDING
        now = await status(job.id)
        assert now.state == job_pb2.JOB_STATE_PROCESSING
        assert (now.attempt, now.version) == (1, 2)


async def test_status_of_a_job_comes_from_its_commits_while_no_job_can_be_read(
    jobs: JobServiceStub, create: Create, channel: aio.Channel, sql: asyncpg.Connection
) -> None:
    async def unread() -> tuple[pb.JobUpdate, pb.JobUpdate]:
        """Both updates of a job, while whoever reads one waits."""
        async with work(channel) as worker, submit(jobs) as stream:
            await born_leased(create, worker, sql)
            async with sql.transaction(), asyncio.timeout(10):
                # Each read of a job looks into this table; neither a birth nor an end does.
                await sql.execute("LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE")
                await stream.created(job(1, follow=True))
                began = await stream.update()
                (lease,) = await worker.dispatched()
                assert await worker.report(success(lease)) == [OK]
                return began, await stream.update()

    async def tried() -> tuple[pb.JobUpdate, pb.JobUpdate] | None:
        try:
            return await unread()
        except TimeoutError:
            return None

    # A status that is still on its way when the replica looks for changes is read, and waits.
    found = await eventually(tried, seconds=60)
    assert found is not None
    began, ended = found
    assert [u.status.state for u in (began, ended)] == [
        job_pb2.JOB_STATE_PROCESSING,
        job_pb2.JOB_STATE_COMPLETED,
    ]
    read = (await jobs.GetJob(pb.GetJobRequest(job_id=ended.job_id))).job
    read.status.ClearField("recent_attempts")
    assert (ended.job_id, ended.etag, ended.status) == (read.id, read.etag, read.status)
