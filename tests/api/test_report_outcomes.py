"""ReportOutcomes: how attempts end, and what becomes of the job."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from jobsvc.v1 import job_pb2
from jobsvc.v1.payload_pb2 import PayloadSchema
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status
from tests.api.support.worker import (
    OK,
    cancelled,
    failure,
    lease_all,
    lease_one,
    release,
    report,
    success,
)

_INVALID = ("INVALID_ARGUMENT", "INVALID_REQUEST")
_AT_ONCE = job_pb2.RetryPolicy(max_attempts=3, initial_backoff=Duration())
_PENDING, _COMPLETED, _FAILED, _CANCELLED = (
    job_pb2.JOB_STATE_PENDING,
    job_pb2.JOB_STATE_COMPLETED,
    job_pb2.JOB_STATE_FAILED,
    job_pb2.JOB_STATE_CANCELLED,
)


async def test_success_completes_the_job(
    create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    job = await create()
    assert await report(workers, success(await lease_one(workers), '{"a": 1}')) == [OK]
    ended = await status(job.id)
    assert (ended.state, ended.attempt, ended.version) == (_COMPLETED, 1, 3)
    assert ended.output.json["a"] == 1
    assert ended.HasField("end_time")
    assert not ended.HasField("error")


async def test_failure_is_retried_after_the_backoff(
    create: Create, workers: WorkerServiceStub, status: Status, sql: asyncpg.Connection
) -> None:
    policy = job_pb2.RetryPolicy(
        max_attempts=9,
        initial_backoff=Duration(seconds=100),
        backoff_multiplier=3,
        max_backoff=Duration(seconds=500),
    )
    job = await create(retry_policy=policy)
    for attempt, seconds in ((1, 100), (2, 300), (3, 500), (4, 500)):
        lease = await lease_one(workers)
        assert lease.attempt == attempt
        assert await report(workers, failure(lease, message=f"m{attempt}")) == [OK]
        waiting = await status(job.id)
        assert (waiting.state, waiting.attempt) == (_PENDING, attempt)
        assert waiting.error.message == f"m{attempt}"
        delay = waiting.next_attempt_time.ToDatetime() - waiting.update_time.ToDatetime()
        assert delay.total_seconds() == pytest.approx(seconds, rel=0.2001)
        assert await lease_all(workers) == []
        await sql.execute("UPDATE waiting SET run_at = now()")
    assert (await lease_one(workers)).previous_error.message == "m4"


async def test_retry_comes_by_itself_when_its_delay_is_over(
    create: Create, workers: WorkerServiceStub
) -> None:
    await create()
    await report(workers, failure(await lease_one(workers), retry_delay=0.2))
    lease = await lease_one(workers, wait=Duration(seconds=20))
    assert lease.attempt == 2


_PERMANENT = (
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "DATA_LOSS",
)


@pytest.mark.parametrize("name", [n for n in code_pb2.Code.keys() if n != "OK"])  # noqa: SIM118
async def test_code_says_whether_a_retry_makes_sense(
    create: Create, workers: WorkerServiceStub, status: Status, name: str
) -> None:
    job = await create()
    code = code_pb2.Code.Value(name)
    assert await report(workers, failure(await lease_one(workers), code)) == [OK]
    after = await status(job.id)
    assert after.state == (_FAILED if name in _PERMANENT else _PENDING)
    assert after.error.code == code


@pytest.mark.parametrize(
    ("code", "retryable", "state"),
    [
        (code_pb2.INVALID_ARGUMENT, True, _PENDING),
        (code_pb2.UNAVAILABLE, False, _FAILED),
        (code_pb2.INVALID_ARGUMENT, False, _FAILED),
    ],
)
async def test_worker_may_override_the_code(
    create: Create,
    workers: WorkerServiceStub,
    status: Status,
    code: int,
    retryable: bool,
    state: int,
) -> None:
    job = await create()
    await report(workers, failure(await lease_one(workers), code, retryable))
    assert (await status(job.id)).state == state


async def test_worker_may_set_the_delay(
    create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    job = await create()
    await report(workers, failure(await lease_one(workers), retry_delay=604_800))
    waiting = await status(job.id)
    delay = waiting.next_attempt_time.ToDatetime() - waiting.update_time.ToDatetime()
    assert delay.total_seconds() == 604_800


async def test_last_attempt_fails_the_job_whatever_the_code(
    create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    job = await create(retry_policy=_AT_ONCE)
    for attempt in (1, 2, 3):
        lease = await lease_one(workers)
        assert (lease.attempt, lease.last_attempt) == (attempt, attempt == 3)
        await report(workers, failure(lease, retryable=True, message=f"m{attempt}"))
    ended = await status(job.id)
    assert (ended.state, ended.attempt, ended.error.message) == (_FAILED, 3, "m3")
    assert [a.error.message for a in ended.recent_attempts] == ["m3", "m2", "m1"]


async def test_release_uses_no_attempt(
    create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    job = await create(retry_policy=job_pb2.RetryPolicy(max_attempts=1))
    for _ in range(3):
        lease = await lease_one(workers)
        assert (lease.attempt, lease.last_attempt) == (1, True)
        assert await report(workers, release(lease, reason="not now")) == [OK]
    waiting = await status(job.id)
    assert (waiting.state, waiting.attempt, len(waiting.recent_attempts)) == (_PENDING, 0, 0)


async def test_released_job_stays_away_as_long_as_asked(
    create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    job = await create()
    await report(workers, release(await lease_one(workers), delay=Duration(seconds=100)))
    waiting = await status(job.id)
    delay = waiting.next_attempt_time.ToDatetime() - waiting.update_time.ToDatetime()
    assert delay.total_seconds() == 100


async def test_output_that_does_not_fit_the_schema_fails_the_attempt(
    create: Create,
    declare: Callable[..., Awaitable[Any]],
    workers: WorkerServiceStub,
    status: Status,
) -> None:
    schema = PayloadSchema()
    schema.json_schema.update({"properties": {"n": {"type": "integer"}}, "required": ["n"]})
    await declare(output_schema=schema)
    job = await create(retry_policy=_AT_ONCE)
    for bad in (None, '{"n": "one"}'):
        assert await report(workers, success(await lease_one(workers), bad)) == [OK]
        waiting = await status(job.id)
        assert (waiting.state, waiting.error.reason) == (_PENDING, "OUTPUT_REJECTED")
    assert "output.n" in waiting.error.message
    # The check that the job was created under stays, whatever the queue says by now.
    await declare(output_schema=PayloadSchema(json_schema={}))
    assert await report(workers, success(await lease_one(workers), "{}")) == [OK]
    assert (await status(job.id)).state == _FAILED


async def test_cancelled_ends_a_job_that_was_to_be_cancelled(
    create: Create, workers: WorkerServiceStub, status: Status, sql: asyncpg.Connection
) -> None:
    ids = [(await create()).id for _ in range(4)]
    leases = await lease_all(workers)
    await sql.execute("UPDATE lease SET cancel_request_time = now()")
    one, two, three, four = leases
    reported = [cancelled(one), failure(two), release(three), success(four)]
    assert await report(workers, *reported) == [OK] * 4
    states = [(await status(job_id)).state for job_id in ids]
    assert states == [_CANCELLED, _CANCELLED, _CANCELLED, _COMPLETED]
    # Said again, it is confirmed again.
    assert await report(workers, *reported) == [OK] * 4


async def test_unique_key_is_free_when_its_job_has_ended(
    create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    await create(unique_key="k", retry_policy=_AT_ONCE)
    await report(workers, failure(await lease_one(workers)))
    assert await sql.fetchval("SELECT count(*) FROM held_key") == 1
    await report(workers, success(await lease_one(workers)))
    assert await sql.fetchval("SELECT count(*) FROM held_key") == 0
