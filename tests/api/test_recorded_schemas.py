"""Schemas on record that this server refuses: nothing fits them, and other queues go on."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import grpc

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, lease_one, report, success

#: Another version may have taken it.
_REFUSED = json.dumps({"properties": {"a": {"pattern": "(?=b)"}}})


async def _record(sql: asyncpg.Connection, column: str) -> None:
    """Gives the queues a schema that no call has seen."""
    schema_id = await sql.fetchval(
        "INSERT INTO payload_schema (digest, definition) VALUES ('odd', $1) RETURNING id", _REFUSED
    )
    await sql.execute(f"UPDATE queue SET {column} = $1", schema_id)


async def test_input_under_a_refused_schema_is_rejected(
    create: Create,
    declare: Callable[..., Awaitable[Any]],
    jobs: JobServiceStub,
    sql: asyncpg.Connection,
) -> None:
    await declare("strict")
    await _record(sql, "input_schema_id")
    spec = job_pb2.JobSpec(queue="strict")
    refusal = await refused(jobs.CreateJob(pb.CreateJobRequest(spec=spec)))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "PAYLOAD_REJECTED")
    assert "properties.a.pattern" in refusal.message
    await declare("lenient")
    assert (await create(queue="lenient")).id


async def test_output_under_a_refused_schema_fails_its_attempt(
    create: Create,
    declare: Callable[..., Awaitable[Any]],
    workers: WorkerServiceStub,
    status: Status,
    sql: asyncpg.Connection,
) -> None:
    await declare()
    await _record(sql, "output_schema_id")
    job = await create(retry_policy=job_pb2.RetryPolicy(max_attempts=1))
    assert await report(workers, success(await lease_one(workers), '{"a": 1}')) == [OK]
    ended = await status(job.id)
    assert (ended.state, ended.error.reason) == (job_pb2.JOB_STATE_FAILED, "OUTPUT_REJECTED")
    assert "properties.a.pattern" in ended.error.message
