"""Long work lets everyone else on the loop go on in between: after 5 ms, or an item if that takes
longer."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.message import Message
from grpc import aio

from jobsvc.app import replica
from jobsvc.domain.outcome import MAX_REDELIVERIES
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import Payload, PayloadSchema
from jobsvc.v1.queue_service_pb2 import (
    GetQueueStatsRequest,
    ListQueuesRequest,
    Queue,
    UpdateQueueRequest,
)
from jobsvc.v1.worker_service_pb2 import (
    LeaseJobsRequest,
    LeaseJobsResponse,
    ReportOutcomesRequest,
    WorkerInfo,
)
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.worker import lease_all, report, success
from tests.support.loop_watch import loop_watched
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

_TEXT = '{"a": [' + ",".join("0" * 1000) + "]}"
#: As a Struct, a hundred of these make an answer that takes half a second to write.
_LONG_TEXT = '{"a": [' + ",".join("0" * 3000) + "]}"
_LEASE_JOBS = LeaseJobsRequest(worker=WorkerInfo(worker_id="w"), queues=["q"], max_jobs=100)

Declare = Callable[..., Awaitable[Queue]]


@pytest.fixture
async def strict(declare: Declare) -> None:
    """The queue checks what goes in and what comes out, and takes its time."""
    kinds = [{"type": "string"}, {"type": "null"}, {"type": "integer", "minimum": 0}]
    array = {"type": "array", "items": {"anyOf": kinds}}
    schema = PayloadSchema()
    schema.json_schema.update({"type": "object", "properties": {"a": array}})
    await declare(input_schema=schema, output_schema=schema)


async def _call(channel: aio.Channel, method: str, request: Message) -> bytes:
    """An answer as it came: on this loop, which is the server's, nothing is read or written."""
    answer = await channel.unary_unary(f"/jobsvc.v1.{method}")(request.SerializeToString())
    assert isinstance(answer, bytes)
    return answer


async def _seconds(channel: aio.Channel, method: str, request: Message) -> list[float]:
    """How long each pass of the loop takes that is no short one, while a call is answered."""
    written = request.SerializeToString()
    async with loop_watched() as passes:
        await channel.unary_unary(f"/jobsvc.v1.{method}")(written)
    return passes


async def _create(jobs: JobServiceStub, count: int, text: str) -> None:
    await jobs.BatchCreateJobs(_batch(count, text))


def _batch(count: int, text: str) -> pb.BatchCreateJobsRequest:
    spec = job_pb2.JobSpec(queue="q", input=Payload(json_text=text))
    return pb.BatchCreateJobsRequest(requests=[pb.CreateJobRequest(spec=spec)] * count)


def _is_divided(passes: list[float]) -> bool:
    """Whether no part of the work takes long. Undivided, one of its steps takes a third of all."""
    return max(passes) < 0.3 * sum(passes)


@pytest.mark.usefixtures("strict")
async def test_batch_is_read_and_checked_in_slices(channel: aio.Channel) -> None:
    passes = await _seconds(channel, "JobService/BatchCreateJobs", _batch(1000, _TEXT))
    assert _is_divided(passes), passes


@pytest.mark.usefixtures("strict")
async def test_jobs_are_leased_and_outcomes_read_and_checked_in_slices(
    channel: aio.Channel, jobs: JobServiceStub
) -> None:
    await _create(jobs, 500, _TEXT)
    passes = await _seconds(channel, "WorkerService/LeaseJobs", _LEASE_JOBS)
    assert _is_divided(passes), passes
    outcomes = []
    while len(outcomes) < 400:
        answer = await _call(channel, "WorkerService/LeaseJobs", _LEASE_JOBS)
        leases = LeaseJobsResponse.FromString(answer).leases
        outcomes += [success(lease, _TEXT) for lease in leases]
    request = ReportOutcomesRequest(outcomes=outcomes)
    passes = await _seconds(channel, "WorkerService/ReportOutcomes", request)
    assert _is_divided(passes), passes


def _large_schema(variants: int) -> PayloadSchema:
    """A union that recurs, which takes a while to compile; its answer is text, and takes none."""
    union = {"$ref": "#/$defs/union"}
    definitions: dict[str, Any] = {"union": {"anyOf": []}}
    for name in (f"v{n}" for n in range(variants)):
        sides = {"kind": {"const": name}, "left": union, "right": union, "n": {"maximum": 2**60}}
        definitions[name] = {"type": "object", "required": ["kind"], "properties": sides}
        definitions["union"]["anyOf"].append({"$ref": f"#/$defs/{name}"})
    return PayloadSchema(json_schema_text=json.dumps(union | {"$defs": definitions}))


async def test_schemas_are_compiled_beside_the_loop(channel: aio.Channel) -> None:
    request = UpdateQueueRequest(
        queue=Queue(name="q", input_schema=_large_schema(60)), allow_missing=True
    )
    began = time.process_time()
    passes = await _seconds(channel, "QueueService/UpdateQueue", request)
    assert time.process_time() - began > 0.1
    assert max(passes, default=0.0) < 0.05, passes
    passes = await _seconds(channel, "JobService/BatchCreateJobs", _batch(1, '{"kind": "v9"}'))
    assert max(passes, default=0.0) < 0.05, passes


@pytest.mark.usefixtures("strict")
async def test_queues_are_listed_and_counted_in_slices(
    channel: aio.Channel, sql: asyncpg.Connection
) -> None:
    await sql.execute(
        """INSERT INTO queue
        SELECT (jsonb_populate_record(q, jsonb_build_object('name', 'q' || n))).*
        FROM queue q, generate_series(1, 20000) n"""
    )
    passes = await _seconds(channel, "QueueService/ListQueues", ListQueuesRequest(page_size=1000))
    assert _is_divided(passes), passes
    passes = await _seconds(channel, "QueueService/GetQueueStats", GetQueueStatsRequest())
    # Most of the time is the database driver's, in one piece.
    assert len(passes) > 5, passes


async def test_answer_that_would_come_too_late_is_not_given(
    create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    async def answer(delay_seconds: float) -> LeaseJobsResponse | None:
        """The answer to a caller that waits for 0.2 s; None if it comes too late."""
        async with sql.transaction():
            await sql.execute("LOCK TABLE lease")
            asking = workers.LeaseJobs(_LEASE_JOBS, timeout=0.2)
            await asyncio.sleep(delay_seconds)  # The database takes so long.
        if await asking.code() is grpc.StatusCode.OK:
            return await asking
        assert await asking.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return None

    await create()
    # A little later each time, until the job is leased in the last moments before the deadline.
    delay_seconds = 0.1
    async with asyncio.timeout(30):
        while (got := await answer(delay_seconds)) is None or got.leases:
            delay_seconds = 0.1 if got is None else delay_seconds + 0.01
            if got is not None:
                await report(workers, *map(success, got.leases))
                await create()
    (row,) = await eventually(lambda: sql.fetch("SELECT attempt, redeliveries FROM waiting"))
    assert tuple(row) == (0, 0)


@pytest.mark.parametrize("leaves", ["caller", "server"])
async def test_who_leaves_while_jobs_are_written_down_loses_none(
    dsn: str,
    jobs: JobServiceStub,
    queue: str,
    workers: WorkerServiceStub,
    sql: asyncpg.Connection,
    leaves: str,
) -> None:
    await _create(jobs, 100, _LONG_TEXT)
    await sql.execute("UPDATE waiting SET redeliveries = $1", MAX_REDELIVERIES)
    impatient = replace(TEST_SETTINGS, drain_seconds=0.0)
    async with replica(dsn, impatient) as leaving:
        channel = aio.insecure_channel(f"127.0.0.1:{leaving.port}")
        leasing = asyncio.create_task(_call(channel, "WorkerService/LeaseJobs", _LEASE_JOBS))
        await eventually(lambda: sql.fetchval("SELECT count(*) FROM lease"))
        assert not leasing.done()
        if leaves == "caller":
            leasing.cancel()
            await asyncio.wait([leasing])
    with pytest.raises(asyncio.CancelledError if leaves == "caller" else aio.AioRpcError):
        await leasing
    await channel.close()
    again: list[int] = []
    async with asyncio.timeout(40):
        while len(again) < 100:
            again += [lease.attempt for lease in await lease_all(workers, worker_id="w2")]
    assert again == [1] * 100
