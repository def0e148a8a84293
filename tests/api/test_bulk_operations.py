"""Bulk operations as their callers keep them: whose they are, how many, repeated, stopped."""

import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.jobs.bulk import MAX_OF_ALL, MAX_OF_CALLER
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import Payload
from tests.api.support.bulk import COMPLETED, RUNNING, STOPPED, bulk, bulk_to_the_end, wait
from tests.api.support.fixtures import Create
from tests.api.support.refusal import refused
from tests.api.support.worker_stream import create_many
from tests.store.support.samples import until_blocked
from tests.support.probe import eventually

ANN, BOB = (("x-user-id", "ann"),), (("x-user-id", "bob"),)
SESSION = (("x-session-id", "s"),)
CANCEL, RETRY = pb.BulkCancel(), pb.BulkRetry()
NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "BULK_OPERATION_NOT_FOUND")
NOT_OWNED = (grpc.StatusCode.PERMISSION_DENIED, "BULK_OPERATION_NOT_OWNED")
LIMIT = (grpc.StatusCode.RESOURCE_EXHAUSTED, "BULK_OPERATION_LIMIT")
REUSED = (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
#: So slow that it runs over the whole test.
SLOW = 0.01


@pytest.fixture
async def slow(jobs: JobServiceStub, queue: str) -> pb.BulkOperation:
    """An operation that has touched a single job, and touches no other in this test."""
    await create_many(jobs, 5)
    operation = (await bulk(jobs, cancel=CANCEL, rate=SLOW)).operation
    assert operation.state == RUNNING
    return await wait(jobs, operation.id, after_version=operation.version)


async def read(jobs: JobServiceStub, operation_id: str, metadata: Any = ()) -> pb.BulkOperation:
    request = pb.GetBulkOperationRequest(operation_id=operation_id)
    return (await jobs.GetBulkOperation(request, metadata=metadata)).operation


async def listed(jobs: JobServiceStub, metadata: Any = (), size: int = 0) -> list[str]:
    """The ids of all operations on all pages."""
    found, request = [], pb.ListBulkOperationsRequest(page_size=size)
    while True:
        page = await jobs.ListBulkOperations(request, metadata=metadata)
        found += [operation.id for operation in page.operations]
        request.page_token = page.next_page_token
        if not request.page_token:
            return found


async def stop(jobs: JobServiceStub, operation_id: str, metadata: Any = ()) -> pb.BulkOperation:
    request = pb.StopBulkOperationRequest(operation_id=operation_id)
    return (await jobs.StopBulkOperation(request, metadata=metadata)).operation


async def test_stopped_operation_touches_no_more_jobs(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    for _ in range(2):
        await create_many(jobs, 1000)
    started = (await bulk(jobs, cancel=CANCEL, rate=1000)).operation
    await eventually(lambda: sql.fetchval("SELECT count(*) FROM result"))
    stopped = await stop(jobs, started.id)
    assert stopped.state == STOPPED
    assert stopped.HasField("end_time")
    done = await sql.fetchval("SELECT count(*) FROM result")
    assert 0 < done == stopped.done_count < 2000
    # Another one, which passes over the same jobs, would be behind it.
    others = await bulk_to_the_end(jobs, update=pb.BulkUpdate(spec=job_pb2.JobSpec(priority=1)))
    assert others.done_count == 2000 - done
    assert await sql.fetchval("SELECT count(*) FROM result") == done
    assert await stop(jobs, started.id) == await read(jobs, started.id) == stopped


async def test_stop_comes_behind_the_batch_that_is_under_way(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    job = await create()
    async with sql.transaction():
        await sql.execute("SELECT FROM waiting WHERE job_id = $1 FOR UPDATE", job.id)
        started = (await bulk(jobs, cancel=CANCEL)).operation
        await until_blocked(sql)
        request = pb.StopBulkOperationRequest(operation_id=started.id)
        stopping = jobs.StopBulkOperation(request)
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        await eventually(lambda: sql.fetchval(waits), lambda count: count == 2)
    operation = (await stopping).operation
    assert (operation.state, operation.done_count) == (COMPLETED, 1)


async def test_wait_hears_of_a_stop(jobs: JobServiceStub, slow: pb.BulkOperation) -> None:
    waiting = jobs.WaitBulkOperation(pb.WaitBulkOperationRequest(operation_id=slow.id))
    await stop(jobs, slow.id)
    assert (await waiting).operation.state == STOPPED


async def test_wait_without_news_ends_in_time(jobs: JobServiceStub, slow: pb.BulkOperation) -> None:
    request = pb.WaitBulkOperationRequest(operation_id=slow.id)
    request.timeout.FromMilliseconds(200)
    assert (await jobs.WaitBulkOperation(request)).operation == slow


async def test_position_and_times_are_told(
    jobs: JobServiceStub, slow: pb.BulkOperation, sql: asyncpg.Connection
) -> None:
    assert (slow.done_count, slow.version, slow.rate, slow.most) == (1, 2, SLOW, 0)
    assert not slow.HasField("end_time")
    assert not slow.HasField("purge_time")
    assert slow.position_time.ToNanoseconds() < slow.create_time.ToNanoseconds()
    stopped = await stop(jobs, slow.id)
    assert stopped.purge_time.seconds - stopped.end_time.seconds == 7 * 86_400


@pytest.mark.parametrize("call", [read, stop, wait])
async def test_operation_of_somebody_else_is_refused(
    jobs: JobServiceStub, queue: str, call: Any
) -> None:
    started = (await bulk(jobs, (*ANN, *SESSION), cancel=CANCEL)).operation
    for metadata in ((), BOB, (("x-session-id", "S"),)):
        refusal = await refused(call(jobs, started.id, metadata))
        assert refusal.what == NOT_OWNED
        assert refusal.metadata["operationId"] == started.id
        assert ("missingMetadata" in refusal.metadata) == (metadata == ())
        assert await listed(jobs, metadata) == []
    for metadata in (ANN, SESSION):
        found = await call(jobs, started.id, metadata)
        assert found.id == started.id
        assert (found.owner.user_id, found.owner.has_session) == ("ann", True)
        assert await listed(jobs, metadata) == [started.id]


@pytest.mark.parametrize("call", [read, stop, wait])
async def test_unknown_operation_is_refused(jobs: JobServiceStub, call: Any) -> None:
    refusal = await refused(call(jobs, str(uuid4())))
    assert refusal.what == NOT_FOUND
    assert refusal.details["ResourceInfo"].resource_type == "jobsvc.v1.BulkOperation"
    refusal = await refused(call(jobs, "7"))
    assert (refusal.what, refusal.fields) == (INVALID, ["operation_id"])


async def test_operation_touches_only_jobs_of_its_caller(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    anns, bobs = await create(metadata=ANN), await create(metadata=BOB)
    everybodys = await create()
    assert (await bulk_to_the_end(jobs, ANN, cancel=CANCEL)).done_count == 2
    left = await sql.fetch("SELECT job_id::text FROM waiting")
    assert [row["job_id"] for row in left] == [bobs.id]
    assert {anns.id, everybodys.id} == {
        row[0] for row in await sql.fetch("SELECT job_id::text FROM result")
    }


async def test_operations_are_listed_newest_first_in_pages(
    jobs: JobServiceStub, queue: str
) -> None:
    made = [(await bulk_to_the_end(jobs, cancel=CANCEL)).id for _ in range(5)]
    assert await listed(jobs) == await listed(jobs, size=2) == made[::-1]
    refusal = await refused(jobs.ListBulkOperations(pb.ListBulkOperationsRequest(page_token="x")))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


async def test_caller_has_a_limited_number_of_operations(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await create_many(jobs, MAX_OF_CALLER + 5)
    update = pb.BulkUpdate(spec=job_pb2.JobSpec(priority=1))
    running = [(await bulk(jobs, update=update, rate=SLOW)).operation for _ in range(MAX_OF_CALLER)]
    refusal = await refused(bulk(jobs, cancel=CANCEL))
    assert refusal.what == LIMIT
    assert refusal.details["QuotaFailure"].violations[0].subject == "bulk operations"
    assert "RetryInfo" in refusal.details
    assert await sql.fetchval("SELECT count(*) FROM bulk_operation") == MAX_OF_CALLER
    assert (await bulk_to_the_end(jobs, ANN, cancel=CANCEL, most=1)).done_count == 1
    await stop(jobs, running[0].id)
    assert (await bulk_to_the_end(jobs, cancel=CANCEL, most=1)).done_count == 1


async def test_all_callers_together_have_a_limited_number_of_operations(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await sql.execute(
        """INSERT INTO bulk_operation
        SELECT gen_random_uuid(), '', n::text, NULL, NULL, NULL, '{}', '{"kind":"cancel"}', 0, 0,
            1, 1, NULL, 0, '{}', NULL, now(), now(), now() + interval '1 h', NULL, NULL
        FROM generate_series(1, $1) AS n""",
        MAX_OF_ALL,
    )
    assert (await refused(bulk(jobs, cancel=CANCEL))).what == LIMIT
    await sql.execute("DELETE FROM bulk_operation WHERE owner_user = '1'")
    assert (await bulk(jobs, cancel=CANCEL)).operation.id


async def test_same_request_id_never_starts_a_second_operation(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await create_many(jobs, 3)
    request_id = str(uuid4())
    first = await bulk(jobs, ANN, retry=RETRY, request_id=request_id)
    again = await bulk(jobs, ANN, retry=RETRY, request_id=request_id)
    assert (first.existing, again.existing) == (False, True)
    assert again.operation.id == first.operation.id
    for metadata, changes in (
        (ANN, {"retry": pb.BulkRetry(extra_attempts=2)}),
        (ANN, {"retry": RETRY, "filter": pb.JobFilter(queues=["q"])}),
        (BOB, {"retry": RETRY}),
    ):
        call = bulk(jobs, metadata, request_id=request_id, **changes)
        assert (await refused(call)).what == REUSED
    assert await sql.fetchval("SELECT count(*) FROM bulk_operation") == 1


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"filter": None, "cancel": CANCEL}, "filter"),
        ({}, "action"),
        ({"cancel": pb.BulkCancel(reason="x" * 501)}, "cancel.reason"),
        ({"retry": pb.BulkRetry(extra_attempts=101)}, "retry.extra_attempts"),
        ({"retry": pb.BulkRetry(extra_attempts=-1)}, "retry.extra_attempts"),
        ({"update": pb.BulkUpdate()}, "update.update_mask"),
        (
            {"update": pb.BulkUpdate(update_mask={"paths": ["input"]})},
            "update.update_mask",
        ),
        (
            {"update": pb.BulkUpdate(spec=job_pb2.JobSpec(priority=101))},
            "update.spec.priority",
        ),
        (
            {"update": pb.BulkUpdate(spec=job_pb2.JobSpec(labels={"A": ""}))},
            "update.spec.labels['A']",
        ),
        ({"cancel": CANCEL, "filter": pb.JobFilter(queues=["A"])}, "filter.queues[0]"),
        ({"cancel": CANCEL, "filter": pb.JobFilter(states=[1, 9])}, "filter.states[1]"),
        ({"cancel": CANCEL, "filter": pb.JobFilter(states=[1, 5])}, "filter.states[1]"),
        ({"retry": RETRY, "filter": pb.JobFilter(states=[3])}, "filter.states[0]"),
        ({"delete": pb.BulkDelete(), "filter": pb.JobFilter(states=[1])}, "filter.states[0]"),
        ({"cancel": CANCEL, "filter": pb.JobFilter(own_user=True)}, "filter.own_user"),
        ({"cancel": CANCEL, "rate": -1}, "rate"),
        ({"cancel": CANCEL, "rate": 1e6}, "rate"),
        ({"cancel": CANCEL, "rate": math.nan}, "rate"),
        ({"cancel": CANCEL, "most": -1}, "most"),
        ({"cancel": CANCEL, "request_id": "7"}, "request_id"),
    ],
)
async def test_defect_of_a_request_is_named(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection, fields: dict[str, Any], path: str
) -> None:
    refusal = await refused(bulk(jobs, **fields))
    assert (refusal.what, refusal.fields) == (INVALID, [path])
    assert await sql.fetchval("SELECT count(*) FROM bulk_operation") == 0


async def test_input_is_no_change_in_bulk(jobs: JobServiceStub, queue: str) -> None:
    """Unnamed in the mask, it is left out as for a single job; alone, there is nothing to do."""
    spec = job_pb2.JobSpec(input=Payload(json_text="{}"))
    refusal = await refused(bulk(jobs, update=pb.BulkUpdate(spec=spec)))
    assert refusal.fields == ["update.update_mask"]


async def test_operation_is_forgotten_when_its_retention_is_over(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    old = await bulk_to_the_end(jobs, cancel=CANCEL)
    kept = await bulk_to_the_end(jobs, cancel=CANCEL)
    await sql.execute("UPDATE bulk_operation SET purge_time = now() WHERE id = $1", old.id)
    await eventually(lambda: listed(jobs), lambda found: found == [kept.id])


async def test_operation_is_waited_for_on_any_replica(
    jobs: JobServiceStub,
    queue: str,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
    slow: pb.BulkOperation,
) -> None:
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as channel,
    ):
        far = JobServiceStub(channel)
        waiting = far.WaitBulkOperation(pb.WaitBulkOperationRequest(operation_id=slow.id))
        await stop(jobs, slow.id)
        assert (await waiting).operation.state == STOPPED
