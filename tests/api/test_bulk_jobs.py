"""What bulk operations do with jobs, through a real channel."""

from typing import Any

import asyncpg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2 import DeleteQueueRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.bulk import COMPLETED, RUNNING, bulk, bulk_to_the_end, until_ended, wait
from tests.api.support.fixtures import Create, Status
from tests.api.support.worker import failure, lease_all, lease_one, report, success
from tests.api.support.worker_stream import create_many
from tests.store.support.samples import until_blocked
from tests.support.probe import eventually

PENDING, PROCESSING = job_pb2.JOB_STATE_PENDING, job_pb2.JOB_STATE_PROCESSING
COMPLETE, FAILED = job_pb2.JOB_STATE_COMPLETED, job_pb2.JOB_STATE_FAILED
CANCELLED = job_pb2.JOB_STATE_CANCELLED
CANCEL, RETRY, DELETE = pb.BulkCancel(), pb.BulkRetry(), pb.BulkDelete()
FUTURE = Timestamp(seconds=4_000_000_000)


async def failed(create: Create, workers: WorkerServiceStub, **spec: Any) -> job_pb2.Job:
    """A job that has failed for good."""
    job = await create(priority=100, **spec)
    lease = await lease_one(workers, queues=[job.spec.queue])
    await report(workers, failure(lease, retryable=False, message="first"))
    return job


async def test_jobs_that_wait_are_cancelled_and_those_that_run_are_told(
    jobs: JobServiceStub, create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    running = await create()
    lease = await lease_one(workers)
    waiting = [await create(), await create(schedule_time=FUTURE)]
    operation = await bulk_to_the_end(jobs, cancel=pb.BulkCancel(reason="wrong input"))
    assert (operation.state, operation.done_count, operation.skipped_count) == (COMPLETED, 3, 0)
    for job in waiting:
        ended = await status(job.id)
        assert (ended.state, ended.cancel_reason) == (CANCELLED, "wrong input")
    told = await status(running.id)
    assert (told.state, told.cancel_reason) == (PROCESSING, "wrong input")
    again = await bulk_to_the_end(jobs, cancel=CANCEL)
    assert again.done_count == 1, "as if it were asked for again"
    assert (await status(running.id)).version == told.version, "nothing was done"
    await report(workers, success(lease))
    assert (await status(running.id)).state == COMPLETE


async def test_only_jobs_in_the_states_of_the_filter_are_cancelled(
    jobs: JobServiceStub, create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    running = await create()
    await lease_one(workers)
    waiting = await create()
    only = pb.JobFilter(states=[PENDING])
    assert (await bulk_to_the_end(jobs, filter=only, cancel=CANCEL)).done_count == 1
    assert not (await status(running.id)).HasField("cancel_request_time")
    assert (await status(waiting.id)).state == CANCELLED


async def test_failed_and_cancelled_jobs_are_retried_under_their_ids(
    jobs: JobServiceStub, create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    dead = [await failed(create, workers, unique_key=f"k{n}") for n in range(3)]
    cancelled = await create()
    await jobs.CancelJob(pb.CancelJobRequest(job_id=cancelled.id))
    waiting = await create()
    operation = await bulk_to_the_end(jobs, retry=pb.BulkRetry(extra_attempts=2))
    assert operation.done_count == 4
    assert (await status(waiting.id)).version == waiting.status.version
    # It is told to workers that wait, too: they all are ready.
    leases = await lease_all(workers)
    assert {lease.job_id for lease in leases} == {j.id for j in (*dead, cancelled, waiting)}
    now = (await jobs.GetJob(pb.GetJobRequest(job_id=dead[0].id))).job
    assert now.spec.retry_policy.max_attempts == 3
    assert [a.error.message for a in now.status.recent_attempts] == ["", "first"]


async def test_ended_jobs_are_deleted(
    jobs: JobServiceStub,
    create: Create,
    workers: WorkerServiceStub,
    sql: asyncpg.Connection,
) -> None:
    await failed(create, workers)
    await create()
    await report(workers, success(await lease_one(workers)))
    left = await create()
    assert (await bulk_to_the_end(jobs, delete=DELETE)).done_count == 2
    assert [str(r["id"]) for r in await sql.fetch("SELECT id FROM job")] == [left.id]


async def test_waiting_jobs_are_changed(jobs: JobServiceStub, create: Create) -> None:
    first, second = await create(labels={"a": "1"}), await create(priority=5)
    update = pb.BulkUpdate(
        spec=job_pb2.JobSpec(priority=7, labels={"b": "2"}, schedule_time=FUTURE),
        update_mask=FieldMask(paths=["priority", "schedule_time"]),
    )
    operation = await bulk_to_the_end(jobs, update=update)
    assert operation.done_count == 2
    assert sorted(operation.update.update_mask.paths) == ["priority", "schedule_time"]
    assert operation.update.spec.priority == 7
    for job, labels in ((first, {"a": "1"}), (second, {})):
        now = (await jobs.GetJob(pb.GetJobRequest(job_id=job.id))).job
        assert (now.spec.priority, now.spec.schedule_time, now.spec.labels) == (7, FUTURE, labels)


async def test_each_filter_of_the_contract_selects(
    jobs: JobServiceStub, create: Create, declare: Any
) -> None:
    await declare("other")
    ann, web = (("x-user-id", "ann"),), (("x-session-id", "s"),)
    moment = (await create(labels={"a": "1", "b": "2"})).create_time
    await create(queue="other", metadata=ann)
    await create(metadata=web)
    for wanted, metadata, count in (
        (pb.JobFilter(queues=["other"]), ann, 1),
        (pb.JobFilter(labels={"a": "1"}), (), 1),
        (pb.JobFilter(labels={"a": "2"}), (), 0),
        (pb.JobFilter(own_user=True), ann, 1),
        (pb.JobFilter(own_session=True), web, 1),
        (pb.JobFilter(create_time_until=moment), (), 0),
        (pb.JobFilter(create_time_from=moment), (), 1),
        (pb.JobFilter(), (*ann, *web), 3),
    ):
        update = pb.BulkUpdate(spec=job_pb2.JobSpec(priority=1))
        operation = await bulk_to_the_end(jobs, metadata, filter=wanted, update=update)
        assert operation.done_count == count, wanted
        assert operation.filter == wanted


async def test_jobs_of_many_batches_are_touched_up_to_the_most(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    for _ in range(3):
        await create_many(jobs, 900)
    newest = await sql.fetch("SELECT id FROM job ORDER BY id DESC LIMIT 1700")
    operation = await bulk_to_the_end(jobs, cancel=CANCEL, most=1700)
    assert (operation.state, operation.done_count) == (COMPLETED, 1700)
    ended = await sql.fetch("SELECT job_id AS id FROM result ORDER BY 1 DESC")
    assert ended == newest, "the newest first"
    assert (await bulk_to_the_end(jobs, cancel=CANCEL)).done_count == 1000


async def test_jobs_that_cannot_be_retried_are_skipped_with_the_reason(
    jobs: JobServiceStub,
    queues: QueueServiceStub,
    create: Create,
    workers: WorkerServiceStub,
    declare: Any,
    sql: asyncpg.Connection,
) -> None:
    # Of two with one key, the newer one takes it; of a third, a waiting job has it.
    older = await failed(create, workers, unique_key="k")
    newer = await failed(create, workers, unique_key="k")
    third = await failed(create, workers, unique_key="held")
    holder = await create(unique_key="held")
    await declare("gone")
    orphan = await failed(create, workers, queue="gone")
    await queues.DeleteQueue(DeleteQueueRequest(name="gone"))
    spoiled = await failed(create, workers)
    # No version comes after this one.
    last = 2**63 - 1
    await sql.execute("UPDATE result SET version = $2 WHERE job_id = $1", spoiled.id, last)
    good = await failed(create, workers)

    operation = await bulk_to_the_end(jobs, retry=RETRY)
    assert (operation.state, operation.done_count, operation.skipped_count) == (COMPLETED, 2, 4)
    assert operation.skipped_by_reason == {
        "UNIQUE_KEY_TAKEN": 2,
        "QUEUE_NOT_FOUND": 1,
        "INVALID_REQUEST": 1,
    }
    assert operation.last_error.job_id == older.id
    assert newer.id in operation.last_error.message
    waiting = {str(r["job_id"]) for r in await sql.fetch("SELECT job_id FROM waiting")}
    assert waiting == {newer.id, holder.id, good.id}
    ended = {str(r["job_id"]) for r in await sql.fetch("SELECT job_id FROM result")}
    assert ended == {older.id, third.id, orphan.id, spoiled.id}


async def test_key_that_another_call_is_taking_costs_one_job_and_no_other(
    jobs: JobServiceStub, create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    dead = [await failed(create, workers, unique_key=key) for key in ("a", "b", "c")]
    holder = await create()
    async with sql.transaction():
        await sql.execute("INSERT INTO held_key VALUES ('q', 'b', $1)", holder.id)
        started = (await bulk(jobs, retry=RETRY)).operation
        await until_blocked(sql)
    operation = await until_ended(jobs, started)
    assert operation.done_count == 2
    assert operation.skipped_by_reason == {"UNIQUE_KEY_TAKEN": 1}
    assert operation.last_error.job_id == dead[1].id


async def test_job_that_would_expire_before_it_begins_is_not_changed_so(
    jobs: JobServiceStub, create: Create
) -> None:
    await create(expire_time=Timestamp(seconds=3_900_000_000))
    await create()
    update = pb.BulkUpdate(spec=job_pb2.JobSpec(schedule_time=FUTURE))
    operation = await bulk_to_the_end(jobs, update=update)
    assert operation.done_count == 1
    assert operation.skipped_by_reason == {"INVALID_REQUEST": 1}
    assert "expire" in operation.last_error.message


async def test_retry_waits_for_room_in_a_full_queue(
    jobs: JobServiceStub,
    create: Create,
    workers: WorkerServiceStub,
    declare: Any,
    sql: asyncpg.Connection,
) -> None:
    for _ in range(5):
        await failed(create, workers)
    await declare(max_waiting=2)
    started = (await bulk(jobs, retry=RETRY)).operation

    async def now() -> pb.BulkOperation:
        request = pb.GetBulkOperationRequest(operation_id=started.id)
        return (await jobs.GetBulkOperation(request)).operation

    for turn, waiting in enumerate((2, 2, 1)):
        operation = await eventually(now, lambda o, n=2 * turn + waiting: o.done_count == n)  # type: ignore[misc]
        assert await sql.fetchval("SELECT count(*) FROM waiting") == waiting
        if turn < 2:
            operation = await eventually(now, lambda o: o.last_error.reason == "QUEUE_FULL")
            assert operation.state == RUNNING
            assert operation.last_error.message == "queue q has 2 waiting jobs, its max_waiting"
        for lease in await lease_all(workers):
            await report(workers, success(lease))
    operation = await until_ended(jobs, started)
    assert (operation.done_count, operation.skipped_count) == (5, 0)
    assert not operation.HasField("last_error")


@pytest.mark.parametrize("states", [[], [PENDING]], ids=["any state", "only waiting"])
async def test_job_that_moves_meanwhile_is_looked_at_again(
    jobs: JobServiceStub,
    create: Create,
    sql: asyncpg.Connection,
    status: Status,
    states: list[job_pb2.JobState.ValueType],
) -> None:
    """It is about to be leased when the statement that cancels it begins."""
    job = await create()
    async with sql.transaction():
        await sql.execute("""
            WITH gone AS (DELETE FROM waiting RETURNING *)
            INSERT INTO lease (
                job_id, lease_id, queue, rank, attempt, redeliveries, version, update_time, keyed,
                worker_id, start_time, duration, until, deadline)
            SELECT job_id, 1, queue, rank, 1, 0, version + 1, now(), keyed, 'w', now(), 3600,
                now() + interval '1 h', now() + interval '1 h'
            FROM gone""")
        started = (await bulk(jobs, filter=pb.JobFilter(states=states), cancel=CANCEL)).operation
        await until_blocked(sql)
    operation = await until_ended(jobs, started)
    assert (operation.done_count, operation.skipped_count) == ((0, 1) if states else (1, 0))
    assert (await status(job.id)).HasField("cancel_request_time") == (not states)


async def test_job_that_has_left_the_filter_meanwhile_is_skipped(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    job = await create()
    async with sql.transaction():
        await sql.execute("DELETE FROM waiting")
        await sql.execute(
            """INSERT INTO result (
                job_id, state, attempt, version, worker_id, end_time, purge_time, progress_message)
            VALUES ($1, 3, 1, 3, 'w', now(), now() + interval '1 h', '')""",
            job.id,
        )
        started = (await bulk(jobs, cancel=CANCEL)).operation
        await until_blocked(sql)
    operation = await until_ended(jobs, started)
    assert operation.done_count == 0
    assert operation.skipped_by_reason == {"JOB_STATE_CONFLICT": 1}
    assert operation.last_error.message.startswith("it is COMPLETED; only a job in PENDING or")


async def test_rate_is_kept(jobs: JobServiceStub, queue: str) -> None:
    await create_many(jobs, 60)
    operation = await bulk_to_the_end(jobs, cancel=CANCEL, rate=40)
    assert operation.done_count == 60
    took = operation.end_time.ToNanoseconds() - operation.create_time.ToNanoseconds()
    # The last batch, of a quarter of a second, does not wait for its own time.
    assert took / 1e9 >= 60 / 40 - 0.25


async def test_status_streams_see_what_a_bulk_operation_does(
    jobs: JobServiceStub, create: Create
) -> None:
    job = await create()
    call = jobs.StreamJobStatus(pb.StreamJobStatusRequest(job_ids=[job.id]))
    assert (await call.read()).update.status.state == PENDING
    await bulk_to_the_end(jobs, cancel=CANCEL)
    while not (response := await call.read()).HasField("update"):
        pass
    assert response.update.status.state == CANCELLED


async def test_wait_ends_when_the_operation_goes_on(jobs: JobServiceStub, queue: str) -> None:
    await create_many(jobs, 30)
    operation = (await bulk(jobs, cancel=CANCEL, rate=8)).operation
    versions = [operation.version]
    while operation.state == RUNNING:
        operation = await wait(jobs, operation.id, after_version=operation.version)
        versions.append(operation.version)
    assert versions == sorted(set(versions))
    assert len(versions) > 3
    assert operation.done_count == 30


@pytest.mark.parametrize("kind", ["cancel", "retry", "delete", "update"])
async def test_validate_only_touches_nothing(
    jobs: JobServiceStub,
    create: Create,
    workers: WorkerServiceStub,
    tables: Any,
    sql: asyncpg.Connection,
    kind: str,
) -> None:
    for _ in range(12):
        await failed(create, workers)
    waiting = [await create() for _ in range(12)]
    actions = {
        "cancel": CANCEL,
        "retry": RETRY,
        "delete": DELETE,
        "update": pb.BulkUpdate(spec=job_pb2.JobSpec(priority=1)),
    }
    before = await tables()
    response = await bulk(jobs, validate_only=True, most=11, **{kind: actions[kind]})
    assert (response.matching_count, response.is_estimate) == (11, False)
    assert response.operation.WhichOneof("action") == kind
    assert not response.operation.id
    assert len(response.sample) == 10
    is_waiting = {job.id in {w.id for w in waiting} for job in response.sample}
    assert is_waiting == {kind in ("cancel", "update")}
    assert await tables() == before
    assert await sql.fetchval("SELECT count(*) FROM bulk_operation") == 0
