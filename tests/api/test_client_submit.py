"""The client for asyncio creates its jobs on the stream of a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration

from jobsvc.app import Replica
from jobsvc.client import AsyncClient, Client, CreatedJob, QueueNotFound, RequestIdReused
from jobsvc.settings import Settings
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.worker import lease_one, report, success
from tests.client.support.threaded import Threaded
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

pytestmark = pytest.mark.usefixtures("queue")


@pytest.fixture
def settings() -> Settings:
    """A busy machine may take its time between a lease and its report."""
    return replace(TEST_SETTINGS, acknowledge_seconds=10.0)


@pytest.fixture(params=["async", "sync"])
async def client(request: pytest.FixtureRequest, server: Replica) -> AsyncIterator[Any]:
    """A client of either kind."""
    target = f"127.0.0.1:{server.port}"
    if request.param == "async":
        async with AsyncClient(target) as opened:
            yield opened
    else:
        with Client(target) as blocking:
            yield Threaded(blocking)
            await asyncio.to_thread(blocking.close)


# Of calls in progress; one stream is no call.
@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, max_calls=1)])
async def test_concurrent_creations_share_a_stream(client: Any, sql: asyncpg.Connection) -> None:
    await client.create("q")
    created = await asyncio.gather(
        *(client.create("q", {"n": n}, labels={"n": str(n)}) for n in range(2000))
    )
    assert [job.labels for job in created] == [{"n": str(n)} for n in range(2000)]
    ids = [str(row["id"]) for row in await sql.fetch("SELECT id FROM job ORDER BY id")]
    assert sorted(job.id for job in created) == ids[1:]


async def test_failure_reaches_the_creation_that_it_is_about(client: Any) -> None:
    first = await client.create("q", {"n": 1})
    used = str(uuid4())
    await client.create("q", request_id=used)
    outcomes = await asyncio.gather(
        client.create("q", {"n": 1}),
        client.create("none"),
        client.create("q", {"n": 2}, request_id=used),
        client.create("q", {"n": 1}),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [
        CreatedJob,
        QueueNotFound,
        RequestIdReused,
        CreatedJob,
    ]
    assert isinstance(outcomes[3], CreatedJob)
    assert outcomes[3].queue == first.queue


async def test_creations_go_on_while_a_server_goes_and_another_takes_over(
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]], sql: asyncpg.Connection
) -> None:
    made: list[str] = []
    stop = asyncio.Event()
    async with start_replica() as other, AsyncExitStack() as stack:
        server = await stack.enter_async_context(start_replica())
        targets = f"ipv4:127.0.0.1:{server.port},127.0.0.1:{other.port}"
        async with AsyncClient(targets) as client, asyncio.TaskGroup() as callers:

            async def creating() -> None:
                while not stop.is_set():
                    made.append((await client.create("q")).id)

            for _ in range(8):
                callers.create_task(creating())
            await eventually(lambda: len(made) > 200, what="creations")
            await server.drain()
            await stack.aclose()
            before = len(made)
            await eventually(lambda: len(made) > before + 200, what="creations elsewhere")
            stop.set()
    assert len(made) == len(set(made)) == await sql.fetchval("SELECT count(*) FROM job")


async def test_create_and_wait_returns_the_job_as_get_does(
    client: Any, workers: WorkerServiceStub
) -> None:
    for _ in range(2):  # As a call of its own, and on the stream.
        waiting = asyncio.create_task(
            client.create_and_wait("q", {"n": 1}, labels={"a": "b"}, priority=3)
        )
        lease = await lease_one(workers, wait=Duration(seconds=5))
        await report(workers, success(lease, '{"m": 2}'))
        job = await asyncio.wait_for(waiting, 10)
        assert job.output == {"m": 2}
        read = await client.get(job.id)
        read = replace(read, status=replace(read.status, recent_attempts=()))
        job = replace(job, status=replace(job.status, recent_attempts=()))
        assert replace(job, purge_time=read.purge_time) == read


async def test_create_and_wait_returns_the_job_as_it_is_when_the_time_is_over(
    client: Any,
) -> None:
    for _ in range(2):
        job = await client.create_and_wait("q", timeout=0.1)
        assert not job.ended


async def test_create_and_wait_waits_for_the_job_that_has_the_key(
    client: Any, workers: WorkerServiceStub
) -> None:
    first = await client.create("q", {"n": 1}, unique_key="k")
    waiting = asyncio.create_task(client.create_and_wait("q", {"n": 2}, unique_key="k"))
    # In the same request, so its result comes with the other.
    await asyncio.create_task(client.create("q", unique_key="k"))
    await report(workers, success(await lease_one(workers), '{"m": 2}'))
    job = await asyncio.wait_for(waiting, 10)
    assert (job.id, job.input, job.output) == (first.id, {"n": 1}, {"m": 2})
