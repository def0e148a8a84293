"""Stubs on the in-process replica, a queue to create jobs in, and a look at every table."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from grpc import aio

from jobsvc.v1 import job_pb2, job_service_pb2, queue_service_pb2
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.database_link import DatabaseLink, database_link
from tests.api.support.fixtures import QUEUE, Create, Status, Tables

#: All that a refused call must leave as it was. `worker` is left out: it is written by the clock.
_TABLES = (
    "queue",
    "payload_schema",
    "job",
    "waiting",
    "lease",
    "result",
    "attempt",
    "held_key",
    "replaced_schema",
    "bulk_operation",
)


@pytest.fixture
def jobs(channel: aio.Channel) -> JobServiceStub:
    return JobServiceStub(channel)


@pytest.fixture
def workers(channel: aio.Channel) -> WorkerServiceStub:
    return WorkerServiceStub(channel)


@pytest.fixture
def queues(channel: aio.Channel) -> QueueServiceStub:
    return QueueServiceStub(channel)


@pytest.fixture
async def declare(queues: QueueServiceStub) -> Callable[..., Awaitable[queue_service_pb2.Queue]]:
    """Declares a queue with the given fields, over the API."""

    async def declared(name: str = QUEUE, **fields: Any) -> queue_service_pb2.Queue:
        queue = queue_service_pb2.Queue(name=name, **fields)
        request = queue_service_pb2.UpdateQueueRequest(queue=queue, allow_missing=True)
        return (await queues.UpdateQueue(request)).queue

    return declared


@pytest.fixture
async def queue(declare: Callable[..., Awaitable[queue_service_pb2.Queue]]) -> str:
    """The name of a queue with every default."""
    return (await declare()).name


@pytest.fixture
def create(jobs: JobServiceStub, queue: str) -> Create:
    """Creates a job of the default queue with the given fields of its spec."""

    async def created(
        metadata: tuple[tuple[str, str], ...] = (), request_id: str = "", **spec: Any
    ) -> job_pb2.Job:
        request = job_service_pb2.CreateJobRequest(
            spec=job_pb2.JobSpec(**({"queue": queue} | spec)), request_id=request_id
        )
        return (await jobs.CreateJob(request, metadata=metadata)).job

    return created


@pytest.fixture
def tables(sql: asyncpg.Connection) -> Tables:
    """Every row of every table, as text: equal before and after a call that changed nothing."""

    async def read() -> dict[str, list[str]]:
        return {
            name: [row[0] for row in await sql.fetch(f"SELECT t::text FROM {name} t ORDER BY 1")]
            for name in _TABLES
        }

    return read


@pytest.fixture
def status(jobs: JobServiceStub) -> Status:
    """The status of a job now."""

    async def read(job_id: str) -> job_pb2.JobStatus:
        return (await jobs.GetJob(job_service_pb2.GetJobRequest(job_id=job_id))).job.status

    return read


@pytest.fixture
async def link(dsn: str) -> AsyncIterator[DatabaseLink]:
    """A way to the database that can be cut, for tests whose replica goes by it."""
    with tempfile.TemporaryDirectory(prefix="jobsvc-link-") as folder:
        async with database_link(dsn, Path(folder)) as opened:
            yield opened
