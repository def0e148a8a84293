"""LeaseJobs and ExtendLeases: what a worker gets, in which order, and for how long."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from jobsvc.domain.outcome import MAX_REDELIVERIES
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as job_service
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import (
    PAYLOAD_ENCODING_JSON,
    PAYLOAD_ENCODING_JSON_TEXT,
    Payload,
)
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import WORKER, lease_all

_INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
_INFO = pb.WorkerInfo(worker_id=WORKER)


async def test_lease_holds_the_whole_job(create: Create, workers: WorkerServiceStub) -> None:
    job = await create(
        input=Payload(json_text='{"a": 1}'),
        labels={"team": "a"},
        attempt_timeout=Duration(seconds=77),
        retry_policy=job_pb2.RetryPolicy(max_attempts=1),
        metadata=(("x-user-id", "ann"), ("x-session-id", "s"), ("traceparent", "00-" + "a" * 32)),
    )
    request = pb.LeaseJobsRequest(
        worker=_INFO, queues=["q"], payload_encoding=PAYLOAD_ENCODING_JSON_TEXT
    )
    answer = await workers.LeaseJobs(request)
    (lease,) = answer.leases
    assert answer.expires_in == Duration(seconds=30)
    assert (lease.job_id, lease.queue, lease.attempt) == (job.id, "q", 1)
    assert lease.last_attempt
    assert lease.input.json_text == '{"a": 1}'
    assert lease.attempt_timeout == Duration(seconds=77)
    assert dict(lease.labels) == {"team": "a"}
    assert lease.owner == job_pb2.JobOwner(user_id="ann", has_session=True)
    assert lease.traceparent == job.traceparent
    assert lease.create_time == job.create_time
    assert not lease.HasField("previous_error")


async def test_max_jobs_is_one_by_default_and_bounds_the_answer(
    create: Create, workers: WorkerServiceStub
) -> None:
    created = [(await create()).id for _ in range(5)]
    first = await lease_all(workers, max_jobs=0)
    second = await lease_all(workers, max_jobs=3)
    third = await lease_all(workers, max_jobs=100)
    fourth = await lease_all(workers)
    assert [len(part) for part in (first, second, third, fourth)] == [1, 3, 1, 0]
    assert [lease.job_id for lease in first + second + third] == created


_NUMBERS = '{"a": [' + ",".join("0" * 10_000) + "]}"
_TEXT = '{"a": "' + "x" * 130_000 + '"}'
#: As a Struct, a third of what fits into a message.
_MANY_NUMBERS = '{"a": [' + ",".join("0" * 120_000) + "]}"


@pytest.mark.parametrize(
    ("text", "encoding", "count", "least"),
    [
        (_TEXT, PAYLOAD_ENCODING_JSON_TEXT, 40, 24),
        (_NUMBERS, PAYLOAD_ENCODING_JSON, 40, 24),
        (_MANY_NUMBERS, PAYLOAD_ENCODING_JSON, 4, 3),
    ],
    ids=["text", "struct", "large-struct"],
)
async def test_answer_has_what_fits_into_a_message_and_the_rest_comes_next(
    create: Create,
    workers: WorkerServiceStub,
    sql: asyncpg.Connection,
    text: str,
    encoding: Any,
    count: int,
    least: int,
) -> None:
    created = [(await create(input=Payload(json_text=text))).id for _ in range(count)]
    await sql.execute("UPDATE waiting SET redeliveries = $1", MAX_REDELIVERIES)
    parts = []
    while part := await lease_all(workers, payload_encoding=encoding):
        parts.append(part)
    assert [lease.job_id for part in parts for lease in part] == created
    # Three mebibytes of four at least.
    assert [len(part) >= least for part in parts] == [True, False]
    rows = await sql.fetch("SELECT DISTINCT attempt, redeliveries FROM lease")
    assert [tuple(row) for row in rows] == [(1, MAX_REDELIVERIES)]


async def test_higher_priority_leaves_first(create: Create, workers: WorkerServiceStub) -> None:
    created = {n: (await create(priority=n)).id for n in (0, -5, 7)}
    leases = await lease_all(workers)
    assert [lease.job_id for lease in leases] == [created[n] for n in (7, 0, -5)]


async def test_queues_are_taken_in_the_order_named(
    create: Create, declare: Callable[..., Awaitable[Any]], workers: WorkerServiceStub
) -> None:
    await declare("other")
    await create()
    await create(queue="other")
    leases = await lease_all(workers, queues=["other", "q", "other"])
    assert [lease.queue for lease in leases] == ["other", "q"]


async def test_paused_queue_gives_nothing(
    create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    await create()
    await sql.execute("UPDATE queue SET paused = true")
    assert await lease_all(workers) == []
    await sql.execute("UPDATE queue SET paused = false")
    assert len(await lease_all(workers)) == 1


async def test_scheduled_job_stays_until_it_is_due(
    create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    await create(schedule_time={"seconds": 4_000_000_000})
    assert await lease_all(workers) == []
    await sql.execute("UPDATE waiting SET run_at = now()")
    assert len(await lease_all(workers)) == 1


async def test_lease_lasts_as_asked_or_as_the_queue_says(
    create: Create, declare: Callable[..., Awaitable[Any]], workers: WorkerServiceStub
) -> None:
    await create()
    await create()
    await declare(lease_duration=Duration(seconds=60))
    request = pb.LeaseJobsRequest(worker=_INFO, queues=["q"])
    assert (await workers.LeaseJobs(request)).expires_in == Duration(seconds=60)
    request.lease_duration.seconds = 5
    assert (await workers.LeaseJobs(request)).expires_in == Duration(seconds=5)


async def test_no_job_is_leased_twice_at_once(
    jobs: JobServiceStub, queue: str, workers: WorkerServiceStub
) -> None:
    item = job_service.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue))
    batch = job_service.BatchCreateJobsRequest(requests=[item] * 200)
    created = {r.job.id for r in (await jobs.BatchCreateJobs(batch)).responses}
    parts = await asyncio.gather(
        *(lease_all(workers, max_jobs=10, worker_id=f"w{n}") for n in range(30))
    )
    leased = [lease.job_id for part in parts for lease in part]
    assert len(leased) == len(set(leased))
    rest = [lease.job_id for lease in await lease_all(workers)]
    assert set(leased) | set(rest) == created


_BAD_LEASES: list[tuple[dict[str, Any], str]] = [
    ({"queues": []}, "queues"),
    ({"queues": [f"q{n}" for n in range(65)]}, "queues"),
    ({"queues": ["q", "Q"]}, "queues[1]"),
    ({"max_jobs": -1}, "max_jobs"),
    ({"max_jobs": 101}, "max_jobs"),
    ({"worker": pb.WorkerInfo()}, "worker.worker_id"),
    ({"worker": pb.WorkerInfo(worker_id="w" * 129)}, "worker.worker_id"),
    ({"worker": pb.WorkerInfo(worker_id="w\0")}, "worker.worker_id"),
    ({"worker": pb.WorkerInfo(worker_id="w\n")}, "worker.worker_id"),
    ({"worker": pb.WorkerInfo(worker_id="w", version="v" * 65)}, "worker.version"),
    ({"worker": pb.WorkerInfo(worker_id="w", sdk="s" * 65)}, "worker.sdk"),
    (
        {"worker": pb.WorkerInfo(worker_id="w", labels={f"{n}": "" for n in range(17)})},
        "worker.labels",
    ),
    ({"lease_duration": Duration(seconds=4)}, "lease_duration"),
    ({"lease_duration": Duration(seconds=3601)}, "lease_duration"),
    ({"lease_duration": Duration()}, "lease_duration"),
    ({"wait": Duration(seconds=-1)}, "wait"),
    ({"wait": Duration(seconds=61)}, "wait"),
    ({"payload_encoding": 77}, "payload_encoding"),
]


@pytest.mark.parametrize(
    ("fields", "path"), _BAD_LEASES, ids=[f"{n}-{p}" for n, (_, p) in enumerate(_BAD_LEASES)]
)
async def test_broken_rule_leases_nothing(
    create: Create, workers: WorkerServiceStub, tables: Tables, fields: dict[str, Any], path: str
) -> None:
    await create()
    before = await tables()
    request = pb.LeaseJobsRequest(**({"worker": _INFO, "queues": ["q"]} | fields))
    refusal = await refused(workers.LeaseJobs(request))
    assert (refusal.what, refusal.fields) == (_INVALID, [path])
    assert await tables() == before


async def test_unknown_queue_is_not_found(
    create: Create, workers: WorkerServiceStub, tables: Tables
) -> None:
    await create()
    before = await tables()
    refusal = await refused(lease_all(workers, queues=["q", "nowhere"]))
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")
    assert refusal.details["ResourceInfo"].resource_name == "nowhere"
    assert await tables() == before
