"""The audit: which calls are noted, as what, and what happens when the database is not there."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from jobsvc.api import audit_trail
from jobsvc.api.audit_trail import AuditTrail
from jobsvc.domain.errors import JobNotFound
from jobsvc.domain.methods import METHODS, method_named
from jobsvc.event_log import MAX_LINES
from jobsvc.store.store import Store
from jobsvc.tracing.json_log import JsonFormatter
from jobsvc.v1 import job_pb2, queue_service_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.fixtures import QUEUE, Create
from tests.api.support.refusal import refused
from tests.support.probe import eventually

_TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
ANN = (("x-user-id", "ann"), ("traceparent", f"00-{_TRACE_ID}-00f067aa0ba902b7-01"))
BOB = (("x-user-id", "bob"),)
_UNKNOWN = "0198c5a0-0000-7000-8000-00000000dead"
_CANCEL = method_named("jobsvc.v1.JobService/CancelJob")

Entries = Callable[[int], Awaitable[list[asyncpg.Record]]]


@pytest.fixture
def entries(sql: asyncpg.Connection) -> Entries:
    """Waits until there are so many entries but those of UpdateQueue, which declares the queue of
    these tests, and returns them in their order."""
    query = "SELECT * FROM audit_entry WHERE method <> 'UpdateQueue' ORDER BY id"

    async def written(count: int) -> list[asyncpg.Record]:
        async def all_there() -> bool:
            return len(await sql.fetch(query)) >= count

        await eventually(all_there, seconds=30)
        found = await sql.fetch(query)
        assert len(found) == count, found
        return found

    return written


async def _call(jobs: JobServiceStub, queues: QueueServiceStub, name: str, create: Create) -> str:
    """Makes a call of a method that does what it asks for. Returns its target."""
    job_id = ""
    if name in ("CancelJob", "UpdateJob", "RetryJob", "DeleteJob"):
        job_id = (await create(metadata=ANN)).id
    if name in ("RetryJob", "DeleteJob"):
        # By another way than CancelJob, which would be noted.
        await queues.PurgeQueue(queue_service_pb2.PurgeQueueRequest(name=QUEUE))
    queue = queue_service_pb2
    match name:
        case "CancelJob":
            await jobs.CancelJob(pb.CancelJobRequest(job_id=job_id), metadata=ANN)
        case "UpdateJob":
            request = pb.UpdateJobRequest(job_id=job_id, spec=job_pb2.JobSpec(priority=1))
            await jobs.UpdateJob(request, metadata=ANN)
        case "RetryJob":
            await jobs.RetryJob(pb.RetryJobRequest(job_id=job_id), metadata=ANN)
        case "DeleteJob":
            await jobs.DeleteJob(pb.DeleteJobRequest(job_id=job_id), metadata=ANN)
        case "BulkJobs":
            return (await jobs.BulkJobs(_BULK, metadata=ANN)).operation.id
        case "StopBulkOperation":
            slow = pb.BulkJobsRequest(filter={}, cancel={}, rate=0.001)
            await create(metadata=ANN)
            await create(metadata=ANN)
            job_id = (await jobs.BulkJobs(slow, metadata=ANN)).operation.id
            stop = pb.StopBulkOperationRequest(operation_id=job_id)
            await jobs.StopBulkOperation(stop, metadata=ANN)
        case "CreateQueue":
            await queues.CreateQueue(queue.CreateQueueRequest(queue={"name": "new"}))
            return "new"
        case "UpdateQueue":
            await queues.UpdateQueue(
                queue.UpdateQueueRequest(queue={"name": "new"}, allow_missing=True)
            )
            return "new"
        case "DeleteQueue":
            await queues.DeleteQueue(queue.DeleteQueueRequest(name=QUEUE))
            return QUEUE
        case "PauseQueue":
            await queues.PauseQueue(queue.PauseQueueRequest(name=QUEUE))
            return QUEUE
        case "ResumeQueue":
            await queues.ResumeQueue(queue.ResumeQueueRequest(name=QUEUE))
            return QUEUE
        case "PurgeQueue":
            await queues.PurgeQueue(queue.PurgeQueueRequest(name=QUEUE))
            return QUEUE
        case "DrainWorker":
            await refused(queues.DrainWorker(queue.DrainWorkerRequest(worker_id="w")))
            return "w"
        case _:
            raise AssertionError(f"{name} needs a call here")
    return job_id


_BULK = pb.BulkJobsRequest(filter={}, cancel={})


@pytest.mark.parametrize("name", [method.name for method in METHODS if method.audited])
async def test_call_of_every_audited_method_is_noted_once(
    jobs: JobServiceStub,
    queues: QueueServiceStub,
    create: Create,
    queue: str,
    sql: asyncpg.Connection,
    name: str,
) -> None:
    target = await _call(jobs, queues, name, create)
    assert target

    async def found() -> list[Any]:
        query = "SELECT * FROM audit_entry WHERE method = $1 AND target = $2"
        return await sql.fetch(query, name, target)

    await eventually(found, seconds=30)
    (entry,) = await found()
    outcome = "WORKER_NOT_FOUND" if name == "DrainWorker" else "OK"
    assert (entry["outcome"], entry["peer"], entry["calls"]) == (outcome, "ipv4:127.0.0.1", 1)
    if next(method for method in METHODS if method.name == name).reads_caller:
        assert (entry["identity"], entry["user_id"], entry["trace_id"]) == ("", "ann", _TRACE_ID)


def test_names_of_methods_are_unambiguous() -> None:
    names = [method.name for method in METHODS]
    assert len(set(names)) == len(names)


async def test_calls_of_the_hot_road_and_those_that_read_are_not_noted(
    jobs: JobServiceStub, create: Create, entries: Entries
) -> None:
    job = await create(metadata=ANN)
    await jobs.GetJob(pb.GetJobRequest(job_id=job.id), metadata=ANN)
    await jobs.ListJobs(pb.ListJobsRequest(), metadata=ANN)
    await jobs.BulkJobs(pb.BulkJobsRequest(filter={}, cancel={}, validate_only=True), metadata=ANN)
    await jobs.CancelJob(pb.CancelJobRequest(job_id=job.id), metadata=ANN)
    (entry,) = await entries(1)
    assert entry["method"] == "CancelJob"


async def test_refusals_are_noted_with_their_reason_but_those_of_what_is_no_request(
    jobs: JobServiceStub, create: Create, entries: Entries
) -> None:
    job = await create(metadata=ANN)
    for job_id, metadata in ((job.id, BOB), (_UNKNOWN, ANN), ("no-uuid", ANN)):
        await refused(jobs.CancelJob(pb.CancelJobRequest(job_id=job_id), metadata=metadata))
    await refused(jobs.RetryJob(pb.RetryJobRequest(job_id=job.id), metadata=ANN))
    found = [(e["method"], e["target"], e["user_id"], e["outcome"]) for e in await entries(3)]
    assert found == [
        ("CancelJob", job.id, "bob", "JOB_NOT_OWNED"),
        ("CancelJob", _UNKNOWN, "ann", "JOB_NOT_FOUND"),
        ("RetryJob", job.id, "ann", "JOB_STATE_CONFLICT"),
    ]


async def test_line_of_the_log_has_what_the_entry_has(
    jobs: JobServiceStub, create: Create, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=audit_trail.__name__)
    job = await create(metadata=ANN)
    await jobs.CancelJob(pb.CancelJobRequest(job_id=job.id), metadata=ANN)
    (record,) = [r for r in caplog.records if getattr(r, "method", "") == "CancelJob"]
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == (
        f"CancelJob {job.id} by somebody for user ann from ipv4:127.0.0.1: OK"
    )
    wanted = {
        "event": "audit",
        "identity": "",
        "user_id": "ann",
        "peer": "ipv4:127.0.0.1",
        "method": "CancelJob",
        "target": job.id,
        "outcome": "OK",
        "calls": 1,
        "trace_id": _TRACE_ID,
    }
    assert wanted.items() <= line.items()


class Call:
    """A call as far as the audit looks at one."""

    def peer(self) -> str:
        return "ipv4:192.0.2.1:4711"


def request(job_id: str) -> pb.CancelJobRequest:
    return pb.CancelJobRequest(job_id=job_id)


async def done(_: object, __: object) -> pb.CancelJobResponse:
    """A handler that does what it is asked for."""
    return pb.CancelJobResponse()


async def not_found(_: object, __: object) -> pb.CancelJobResponse:
    """A handler that refuses."""
    raise JobNotFound(_UNKNOWN)


class Clock:
    """Moved by hand, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_refusals_beyond_a_few_are_one_entry_with_their_count(
    store: Store, sql: asyncpg.Connection
) -> None:
    clock = Clock()
    trail = AuditTrail(store.audit, clock)
    cancel = trail.wrap(_CANCEL, not_found)
    for n in range(MAX_LINES + 25):
        with pytest.raises(JobNotFound):
            await cancel(request(str(n)), Call())
    await trail.flush()
    found = await sql.fetch("SELECT target, calls FROM audit_entry ORDER BY calls, id")
    assert [tuple(row) for row in found] == [(str(n), 1) for n in range(MAX_LINES)] + [("", 25)]


async def test_calls_that_did_something_are_all_noted(
    store: Store, sql: asyncpg.Connection
) -> None:
    trail = AuditTrail(store.audit)
    cancel = trail.wrap(_CANCEL, done)
    for n in range(1200):
        await cancel(request(str(n)), Call())
    await trail.flush()
    found = await sql.fetch("SELECT target FROM audit_entry ORDER BY id")
    assert [row["target"] for row in found] == [str(n) for n in range(1200)]


async def test_server_that_ends_while_entries_are_written_loses_none(
    store: Store, sql: asyncpg.Connection
) -> None:
    trail = AuditTrail(store.audit)
    cancel = trail.wrap(_CANCEL, done)
    for n in range(1200):
        await cancel(request(str(n)), Call())
    writing = asyncio.create_task(trail.run())
    await asyncio.sleep(0)
    await trail.flush()
    writing.cancel()
    assert await sql.fetchval("SELECT count(DISTINCT target) FROM audit_entry") == 1200


async def test_call_that_was_given_up_is_noted_as_such(
    store: Store, sql: asyncpg.Connection
) -> None:
    begun = asyncio.Event()

    async def hanging(_: object, __: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    trail = AuditTrail(store.audit)
    call = asyncio.create_task(trail.wrap(_CANCEL, hanging)(request("a"), Call()))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await trail.flush()
    assert await sql.fetchval("SELECT outcome FROM audit_entry") == "CANCELLED"


async def test_entries_wait_for_a_database_that_does_not_take_them(
    dsn: str,
    jobs: JobServiceStub,
    create: Create,
    sql: asyncpg.Connection,
    entries: Entries,
) -> None:
    job = await create(metadata=ANN)
    await sql.execute("ALTER TABLE audit_entry RENAME TO hidden")
    # The call does not notice.
    answer = await jobs.CancelJob(pb.CancelJobRequest(job_id=job.id), metadata=ANN)
    assert answer.job.id == job.id
    await sql.execute("ALTER TABLE hidden RENAME TO audit_entry")
    (entry,) = await entries(1)
    assert (entry["method"], entry["target"]) == ("CancelJob", job.id)


async def test_entries_that_find_no_room_are_told_once_and_are_in_the_log(
    store: Store, sql: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=audit_trail.__name__)
    trail = AuditTrail(store.audit)
    cancel = trail.wrap(_CANCEL, done)
    for n in range(10_020):
        await cancel(request(str(n)), Call())
    events = [getattr(record, "event", "") for record in caplog.records]
    assert (events.count("audit"), events.count("audit_lost")) == (10_020, 1)
    await trail.flush()
    assert await sql.fetchval("SELECT count(*) FROM audit_entry") == 10_000


async def test_what_a_server_cannot_write_at_its_end_is_told(
    store: Store, sql: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    trail = AuditTrail(store.audit)
    await trail.wrap(_CANCEL, done)(request("a"), Call())
    await sql.execute("DROP TABLE audit_entry")
    await trail.flush()
    (line,) = [r.getMessage() for r in caplog.records if r.name == audit_trail.__name__]
    assert line.startswith("1 entries of the audit are in the log alone")


async def test_without_a_table_there_are_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=audit_trail.__name__)
    trail = AuditTrail(None)
    await trail.wrap(_CANCEL, done)(request("a"), Call())
    await trail.flush()
    assert [record.getMessage() for record in caplog.records] == [
        "CancelJob a by somebody from ipv4:192.0.2.1: OK"
    ]
