"""The progress that an outcome brings: it is that of the status in which the job ends."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration

from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status, Tables
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

_Outcome = Callable[[pb.JobLease], pb.JobOutcome]
_FINAL: dict[str, _Outcome] = {
    "success": success,
    "success with an output": lambda lease: success(lease, '{"a": 1}'),
    "failure": lambda lease: failure(lease, retryable=False),
    "cancelled": cancelled,
}
_AT_ONCE = job_pb2.RetryPolicy(max_attempts=3, initial_backoff=Duration())


def _with(outcome: pb.JobOutcome, percent: int, message: str = "") -> pb.JobOutcome:
    outcome.progress.CopyFrom(job_pb2.JobProgress(percent=percent, message=message))
    return outcome


def _shown(status: job_pb2.JobStatus) -> tuple[int, str] | None:
    if not status.HasField("progress"):
        return None
    return status.progress.percent, status.progress.message


async def _extend(workers: WorkerServiceStub, lease: pb.JobLease, percent: int) -> None:
    progress = job_pb2.JobProgress(percent=percent, message="by then")
    item = pb.LeaseExtension(lease_id=lease.lease_id, progress=progress)
    await workers.ExtendLeases(pb.ExtendLeasesRequest(worker_id="w1", extensions=[item]))


@pytest.mark.parametrize("kind", _FINAL)
@pytest.mark.parametrize("brought", [(100, "done"), (0, "")])
async def test_last_progress_comes_with_the_outcome(
    create: Create,
    workers: WorkerServiceStub,
    status: Status,
    sql: asyncpg.Connection,
    kind: str,
    brought: tuple[int, str],
) -> None:
    await create()
    lease = await lease_one(workers)
    await _extend(workers, lease, 40)
    if kind == "cancelled":
        await sql.execute("UPDATE lease SET cancel_request_time = now()")
    assert await report(workers, _with(_FINAL[kind](lease), *brought)) == [OK]
    assert _shown(await status(lease.job_id)) == brought


async def test_outcomes_of_a_batch_bring_progress_or_not(
    create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    for _ in range(4):
        await create()
    leases = await lease_all(workers)
    for lease in leases[:2]:
        await _extend(workers, lease, 40)
    one, two, three, four = map(success, leases)
    assert await report(workers, _with(one, 100), two, _with(three, 7, "x"), four) == [OK] * 4
    shown = [_shown(await status(lease.job_id)) for lease in leases]
    assert shown == [(100, ""), (40, "by then"), (7, "x"), None]


@pytest.mark.parametrize("outcome", [failure, release])
async def test_job_that_waits_again_begins_without_progress(
    create: Create, workers: WorkerServiceStub, status: Status, outcome: Any
) -> None:
    job = await create(retry_policy=_AT_ONCE)
    lease = await lease_one(workers)
    await _extend(workers, lease, 40)
    assert await report(workers, _with(outcome(lease), 50)) == [OK]
    assert _shown(await status(job.id)) is None
    assert await report(workers, success(await lease_one(workers))) == [OK]
    assert _shown(await status(job.id)) is None


@pytest.mark.parametrize("kind", ["success", "success with an output", "failure"])
async def test_outcome_with_another_progress_is_the_same_outcome(
    create: Create, workers: WorkerServiceStub, tables: Tables, kind: str
) -> None:
    await create()
    lease = await lease_one(workers)
    assert await report(workers, _with(_FINAL[kind](lease), 90)) == [OK]
    before = await tables()
    for again in (_FINAL[kind](lease), _with(_FINAL[kind](lease), 100, "done")):
        assert await report(workers, again) == [OK]
    assert await tables() == before
