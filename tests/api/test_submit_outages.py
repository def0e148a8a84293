"""Submit: what has no result when the database or the server goes is sent again, and made once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import asyncpg
import grpc
import pytest
from google.rpc import code_pb2
from grpc import aio

from jobsvc.app import Replica, replica
from jobsvc.call_status import read_status
from jobsvc.settings import Settings
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.database_link import DatabaseLink
from tests.api.support.submit_stream import SubmitStream, job, submit
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

_REQUESTS, _JOBS = 40, 200
#: Requests that are written before the trouble begins.
_BEFORE = 20
_READ_ONLY = """DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {}', current_database());
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
END $$"""
pytestmark = pytest.mark.usefixtures("queue")


@pytest.fixture
def settings() -> Settings:
    return replace(TEST_SETTINGS, statement_seconds=2.0)


@pytest.fixture
async def server(link: DatabaseLink, settings: Settings) -> AsyncIterator[Replica]:
    async with replica(link.dsn, settings) as running:
        yield running


def _jobs(number: int) -> list[pb.SubmitJob]:
    """Some are followed, and some have a unique key."""
    return [
        job(tag, follow=tag % 3 == 0, **({"unique_key": str(tag)} if tag % 20 == 0 else {}))
        for tag in range(number * _JOBS, (number + 1) * _JOBS)
    ]


async def _to_the_end(stream: SubmitStream) -> None:
    """Reads until all jobs have a result, or the stream has ended."""
    try:
        while len(stream.results) < _REQUESTS * _JOBS:
            await stream.read()
    except aio.AioRpcError as error:
        # As clients read it: gRPC loses the status while something is being written.
        end = read_status(error.code(), error.details() or "", error.trailing_metadata() or ())
        if end.code != grpc.StatusCode.UNAVAILABLE:
            raise


@pytest.mark.parametrize("trouble", ["cut", "read only", "drain"])
async def test_jobs_are_made_once_when_there_is_trouble_in_the_middle(
    jobs: JobServiceStub,
    server: Replica,
    link: DatabaseLink,
    sql: asyncpg.Connection,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
    trouble: str,
) -> None:
    requests = [_jobs(number) for number in range(_REQUESTS)]
    async with submit(jobs) as stream:
        reading = asyncio.create_task(_to_the_end(stream))

        begun = asyncio.Event()

        async def write() -> None:
            try:
                for number, request in enumerate(requests):
                    if number == _BEFORE:
                        await begun.wait()
                    await stream.send(*request)
            except (grpc.RpcError, asyncio.InvalidStateError):
                pass  # Reading says why.

        writing = asyncio.create_task(write())
        await eventually(lambda: stream.results, what="results")
        match trouble:
            case "cut":
                await link.cut()
            case "read only":
                await sql.execute(_READ_ONLY.format("on"))
            case "drain":
                draining = asyncio.create_task(server.drain())
                await eventually(lambda: stream.drain, what="the word that the server goes")
        begun.set()
        if trouble == "drain":
            await asyncio.wait_for(reading, 30)
        else:
            await eventually(
                lambda: reading.done() or any(r.HasField("error") for r in stream.results.values()),
                what="a job that is refused, or the end of the stream",
            )
            await sql.execute(_READ_ONLY.format("off"))
            if trouble == "cut":
                await link.mend()
            await asyncio.wait_for(reading, 30)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    made = {tag: r.created.job.id for tag, r in stream.results.items() if r.HasField("created")}
    refused = [r.error for r in stream.results.values() if r.HasField("error")]
    assert {error.code for error in refused} <= {code_pb2.UNAVAILABLE}

    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as channel,
        submit(JobServiceStub(channel)) as again,
    ):
        rest = [each for request in requests for each in request if each.tag not in made]
        assert rest, "there was no trouble"
        for start in range(0, len(rest), 1000):
            await again.created(*rest[start : start + 1000])
    assert all(r.HasField("created") for r in again.results.values())
    made |= {tag: r.created.job.id for tag, r in again.results.items()}
    assert len(made) == _REQUESTS * _JOBS
    rows = await sql.fetch("SELECT id FROM job")
    assert sorted(str(row["id"]) for row in rows) == sorted(made.values())
    if trouble == "drain":
        await draining
