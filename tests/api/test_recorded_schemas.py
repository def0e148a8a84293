"""Schemas on record that this server refuses: nothing fits them, and other queues go on."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import grpc
from google.protobuf.json_format import ParseDict

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PayloadSchema
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, lease_one, report, success

#: Another version may have taken it.
_REFUSED = json.dumps({"properties": {"a": {"pattern": "(?=b)"}}})
_SCHEMA = ParseDict({"json_schema": {"required": ["a"]}}, PayloadSchema())


async def _record(sql: asyncpg.Connection) -> None:
    await sql.execute("UPDATE payload_schema SET definition = $1", _REFUSED)


async def test_input_under_a_refused_schema_is_rejected(
    create: Create,
    declare: Callable[..., Awaitable[Any]],
    jobs: JobServiceStub,
    sql: asyncpg.Connection,
) -> None:
    await declare("strict", input_schema=_SCHEMA)
    await _record(sql)
    spec = job_pb2.JobSpec(queue="strict")
    refusal = await refused(jobs.CreateJob(pb.CreateJobRequest(spec=spec)))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "PAYLOAD_REJECTED")
    assert "properties.a.pattern" in refusal.message
    assert (await create()).id


async def test_output_under_a_refused_schema_fails_its_attempt(
    create: Create,
    declare: Callable[..., Awaitable[Any]],
    workers: WorkerServiceStub,
    status: Status,
    sql: asyncpg.Connection,
) -> None:
    await declare(output_schema=_SCHEMA)
    job = await create(retry_policy=job_pb2.RetryPolicy(max_attempts=1))
    await _record(sql)
    assert await report(workers, success(await lease_one(workers), '{"a": 1}')) == [OK]
    ended = await status(job.id)
    assert (ended.state, ended.error.reason) == (job_pb2.JOB_STATE_FAILED, "OUTPUT_REJECTED")
    assert "properties.a.pattern" in ended.error.message
