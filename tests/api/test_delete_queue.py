"""DeleteQueue."""

import asyncio
from typing import Any

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.v1 import job_pb2, job_service_pb2
from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.job_service_pb2 import GetJobRequest
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import LOST, failure, lease_all, lease_one, report, success
from tests.api.support.worker_stream import create_many, work
from tests.store.support.samples import until_blocked
from tests.support.probe import eventually

_NOT_EMPTY = (grpc.StatusCode.FAILED_PRECONDITION, "QUEUE_NOT_EMPTY")
_NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")
#: Tables of jobs, and of what belongs to them.
_OF_JOBS = ("job", "waiting", "lease", "result", "attempt", "held_key")


async def _delete(queues: QueueServiceStub, **fields: Any) -> None:
    await queues.DeleteQueue(pb.DeleteQueueRequest(**({"name": "q"} | fields)))


async def test_empty_queue_is_removed_with_its_history(
    queues: QueueServiceStub, declare: Any, tables: Tables
) -> None:
    for kind in ("string", "number"):
        queue = pb.Queue(name="q")
        queue.input_schema.json_schema.update({"properties": {"a": {"type": kind}}})
        await queues.UpdateQueue(pb.UpdateQueueRequest(queue=queue, allow_missing=True))
    await declare("other")
    assert (await tables())["replaced_schema"]
    await _delete(queues)
    found = await tables()
    assert [row.split(",")[0] for row in found["queue"]] == ["(other"]
    assert not found["replaced_schema"]
    assert (await refused(queues.GetQueue(pb.GetQueueRequest(name="q")))).what == _NOT_FOUND
    assert (await refused(_delete(queues))).what == _NOT_FOUND
    assert (await refused(_delete(queues, force=True))).what == _NOT_FOUND


async def test_queue_with_open_jobs_stays(
    queues: QueueServiceStub, create: Create, workers: WorkerServiceStub, tables: Tables
) -> None:
    await create()
    before = await tables()
    assert (await refused(_delete(queues))).what == _NOT_EMPTY
    assert await tables() == before
    lease = await lease_one(workers)
    refusal = await refused(_delete(queues))
    assert refusal.what == _NOT_EMPTY
    assert refusal.details["PreconditionFailure"].violations[0].subject == "q"
    await report(workers, success(lease))
    await _delete(queues)


async def test_ended_jobs_survive_their_queue(
    queues: QueueServiceStub, create: Create, workers: WorkerServiceStub, jobs: JobServiceStub
) -> None:
    job = await create()
    await report(workers, success(await lease_one(workers)))
    await _delete(queues)
    assert (await jobs.GetJob(GetJobRequest(job_id=job.id))).job.spec.queue == "q"


@pytest.mark.parametrize("force", [False, True])
async def test_stale_etag_removes_nothing(
    queues: QueueServiceStub, queue: str, tables: Tables, force: bool
) -> None:
    before = await tables()
    refusal = await refused(_delete(queues, etag="0", force=force))
    assert refusal.what == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await tables() == before


async def test_force_removes_all_jobs_of_the_queue_and_no_other(
    queues: QueueServiceStub,
    create: Create,
    declare: Any,
    workers: WorkerServiceStub,
    jobs: JobServiceStub,
    tables: Tables,
) -> None:
    await declare("other")
    other = await create(queue="other", unique_key="k")
    before = await tables()
    await create_many(jobs, 3)
    leases = await lease_all(workers)
    await report(workers, success(leases[0]), failure(leases[1]))
    await create(unique_key="k")
    between = await tables()
    assert all(between[name] != before[name] for name in _OF_JOBS)
    await _delete(queues, force=True)
    after = await tables()
    for name in _OF_JOBS:
        assert after[name] == before[name], name
    assert (await report(workers, success(leases[2])))[0] == LOST
    assert (await refused(create())).what == _NOT_FOUND
    assert (await jobs.GetJob(GetJobRequest(job_id=other.id))).job.id == other.id


async def test_force_removes_more_jobs_than_one_batch(
    queues: QueueServiceStub, declare: Any, jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    for _ in range(6):
        await create_many(jobs, 1000)
    await _delete(queues, force=True)
    after = await tables()
    assert not any(after[name] for name in _OF_JOBS)


async def test_queue_whose_removal_was_given_up_says_so_and_is_removed_by_the_next_call(
    queues: QueueServiceStub,
    create: Create,
    workers: WorkerServiceStub,
    sql: asyncpg.Connection,
    tables: Tables,
) -> None:
    await create()
    async with sql.transaction():
        await sql.execute("SELECT FROM waiting FOR UPDATE")
        with pytest.raises(aio.AioRpcError) as raised:
            await queues.DeleteQueue(pb.DeleteQueueRequest(name="q", force=True), timeout=0.5)
        assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    found = (await queues.GetQueue(pb.GetQueueRequest(name="q"))).queue
    assert found.state == pb.QUEUE_STATE_DELETING
    (stats,) = (await queues.GetQueueStats(pb.GetQueueStatsRequest())).stats
    assert stats.state == pb.QUEUE_STATE_DELETING
    assert await lease_all(workers) == []
    assert (await refused(create())).what == _NOT_FOUND
    for call in (
        queues.PauseQueue(pb.PauseQueueRequest(name="q")),
        queues.ResumeQueue(pb.ResumeQueueRequest(name="q")),
    ):
        refusal = await refused(call)
        assert refusal.what == (grpc.StatusCode.FAILED_PRECONDITION, "QUEUE_BEING_DELETED")
    again = queues.CreateQueue(pb.CreateQueueRequest(queue=pb.Queue(name="q")))
    assert (await refused(again)).what == (grpc.StatusCode.ALREADY_EXISTS, "QUEUE_EXISTS")
    await _delete(queues, force=True)
    assert not (await tables())["job"]
    await queues.CreateQueue(pb.CreateQueueRequest(queue=pb.Queue(name="q")))
    await create()


async def test_removal_whose_caller_has_left_is_ended_by_the_server(
    queues: QueueServiceStub, create: Create, sql: asyncpg.Connection, tables: Tables
) -> None:
    await create()
    async with sql.transaction():
        await sql.execute("SELECT FROM waiting FOR UPDATE")
        call = queues.DeleteQueue(pb.DeleteQueueRequest(name="q", force=True))
        await until_blocked(sql)
        call.cancel()
    await sql.execute("UPDATE queue SET delete_time = delete_time - interval '1 hour'")

    await eventually(tables, lambda found: not found["queue"], seconds=60)

    assert not (await tables())["job"]


async def test_force_removes_a_job_that_ends_meanwhile(
    queues: QueueServiceStub,
    create: Create,
    workers: WorkerServiceStub,
    sql: asyncpg.Connection,
    tables: Tables,
) -> None:
    await create()
    await lease_one(workers)
    async with sql.transaction():
        await sql.execute("DELETE FROM lease")
        await sql.execute(
            "INSERT INTO result (job_id, state, attempt, version, worker_id, end_time, purge_time,"
            " progress_message) SELECT id, 3, 1, 3, '', now(), now(), '' FROM job"
        )
        deleting = asyncio.ensure_future(_delete(queues, force=True))
        await until_blocked(sql)
    await deleting
    found = await tables()
    assert not any(found[name] for name in (*_OF_JOBS, "queue"))


async def test_worker_of_a_removed_queue_declares_it_when_it_comes_back(
    queues: QueueServiceStub, create: Create, channel: aio.Channel
) -> None:
    async with work(channel) as worker:
        await _delete(queues)
        await worker.leave()
    async with work(channel) as worker:
        job = await create()
        assert [lease.job_id for lease in await worker.dispatched()] == [job.id]


async def test_creation_that_comes_first_keeps_the_queue(
    queues: QueueServiceStub, queue: str, create: Create, sql: asyncpg.Connection, tables: Tables
) -> None:
    """The row that a creation locks is let go when it is on disk."""
    async with sql.transaction():
        await sql.execute("SELECT FROM queue FOR KEY SHARE")
        await sql.execute(
            "INSERT INTO waiting (job_id, queue, rank, run_at, attempt, redeliveries, version,"
            " update_time, keyed) VALUES (gen_random_uuid(), 'q', 0, now(), 0, 0, 1, now(), false)"
        )
        deleting = asyncio.ensure_future(refused(_delete(queues)))
        await until_blocked(sql)
    assert (await deleting).what == _NOT_EMPTY


@pytest.mark.parametrize("batch", [False, True])
async def test_creation_that_comes_second_is_not_found(
    queue: str, create: Create, jobs: JobServiceStub, sql: asyncpg.Connection, batch: bool
) -> None:
    """It waits for the removal that is about to be committed, and was sure of the queue before."""
    await create()
    async with sql.transaction():
        await sql.execute("DELETE FROM queue")
        calls = create_many(jobs, 3) if batch else create()
        creating = asyncio.ensure_future(refused(calls))
        await until_blocked(sql)
    assert (await creating).what == _NOT_FOUND
    assert await sql.fetchval("SELECT count(*) FROM job") == 1


async def test_batch_for_two_queues_of_which_one_is_gone_writes_nothing(
    create: Create, declare: Any, jobs: JobServiceStub, sql: asyncpg.Connection, tables: Tables
) -> None:
    await declare("p")
    for name in ("q", "p"):
        await create(queue=name)  # The replica is sure of them for a while.
    await sql.execute("DELETE FROM queue WHERE name = 'p'")
    before = await tables()
    requests = [
        job_service_pb2.CreateJobRequest(spec=job_pb2.JobSpec(queue=name)) for name in ("q", "p")
    ]
    batch = job_service_pb2.BatchCreateJobsRequest(requests=requests)
    refusal = await refused(jobs.BatchCreateJobs(batch))
    assert refusal.what == _NOT_FOUND
    assert refusal.details["ErrorInfo"].metadata["index"] == "1"
    assert await tables() == before


async def test_creations_that_race_with_removals_leave_no_orphan(
    queues: QueueServiceStub, create: Create, declare: Any, start_replica: Any, tables: Tables
) -> None:
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as channel,
    ):
        elsewhere = JobServiceStub(channel)

        over = asyncio.Event()
        refusals: set[grpc.StatusCode] = set()

        async def creations(number: int) -> int:
            made = 0
            while not over.is_set():
                call = create_many(elsewhere, 2) if number % 2 else create()
                try:
                    await call
                except aio.AioRpcError as error:
                    refusals.add(error.code())
                else:
                    made += 1
            return made

        async def removals() -> int:
            for _ in range(10):
                await _delete(queues, force=True)
                await declare()
            over.set()
            return 0

        made = sum(await asyncio.gather(removals(), *(creations(n) for n in range(6))))
    assert made
    assert refusals == {grpc.StatusCode.NOT_FOUND}
    await _delete(queues, force=True)
    found = await tables()
    assert not any(found[name] for name in (*_OF_JOBS, "queue"))
