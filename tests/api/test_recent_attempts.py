"""`recent_attempts`: how each attempt ended, whatever became of the job afterwards."""

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.worker import OK, cancelled, failure, lease_one, release, report, success

_AT_ONCE = job_pb2.RetryPolicy(max_attempts=3, initial_backoff=Duration())
_AGED = "UPDATE waiting SET expire_time = now() - interval '1 second'"
_TO_CANCEL = "UPDATE lease SET cancel_request_time = now()"

#: What happens to a job, the reason of its status, and number and error of each attempt that is
#: shown. A failed attempt tells its own number.
_CASES: dict[str, tuple[list[str], str, list[tuple[int, str]]]] = {
    "never attempted": ([], "", []),
    "in its first attempt": (["lease"], "", [(1, "")]),
    "completed by the first": (["succeed"], "", [(1, "")]),
    "released": (["release"], "", []),
    "failed once": (["fail"], "FAILED_1", [(1, "FAILED_1")]),
    "failed once, then released": (["fail", "release"], "FAILED_1", [(1, "FAILED_1")]),
    "in its second attempt": (["fail", "lease"], "", [(2, ""), (1, "FAILED_1")]),
    "completed by the second": (["fail", "succeed"], "", [(2, ""), (1, "FAILED_1")]),
    "failed for good at once": (["fail for good"], "FAILED_1", [(1, "FAILED_1")]),
    "failed on the last attempt": (
        ["fail"] * 3,
        "FAILED_3",
        [(3, "FAILED_3"), (2, "FAILED_2"), (1, "FAILED_1")],
    ),
    "expired before any": (["expire"], "JOB_EXPIRED", []),
    "expired after one": (["fail", "expire"], "JOB_EXPIRED", [(1, "FAILED_1")]),
    "expired after two": (
        ["fail", "fail", "expire"],
        "JOB_EXPIRED",
        [(2, "FAILED_2"), (1, "FAILED_1")],
    ),
    "expired after a release": (["release", "expire"], "JOB_EXPIRED", []),
    "cancelled in the first": (["cancel"], "", [(1, "")]),
    "cancelled in the second": (["fail", "cancel"], "", [(2, ""), (1, "FAILED_1")]),
}


@pytest.mark.parametrize("case", _CASES)
async def test_each_attempt_shows_how_it_ended(
    create: Create,
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    sql: asyncpg.Connection,
    case: str,
) -> None:
    steps, reason, attempts = _CASES[case]
    job = await create(retry_policy=_AT_ONCE)
    for step in steps:
        if step == "expire":
            await sql.execute(_AGED)
            await jobs.WaitJob(pb.WaitJobRequest(job_id=job.id, timeout=Duration(seconds=20)))
            continue
        lease = await lease_one(workers)
        if step == "cancel":
            await sql.execute(_TO_CANCEL)
        failed = failure(lease, reason=f"FAILED_{lease.attempt}")
        failed.failure.retryable = step != "fail for good"
        outcome = {
            "succeed": success(lease),
            "release": release(lease),
            "cancel": cancelled(lease),
            "lease": None,
        }.get(step, failed)
        if outcome is not None:
            assert await report(workers, outcome) == [OK]
    status = (await jobs.GetJob(pb.GetJobRequest(job_id=job.id))).job.status
    assert status.error.reason == reason
    assert [(a.attempt, a.error.reason) for a in status.recent_attempts] == attempts
    for attempt in status.recent_attempts:
        assert attempt.worker_id == "w1"
        runs = status.state == job_pb2.JOB_STATE_PROCESSING and attempt.attempt == status.attempt
        assert attempt.HasField("end_time") != runs
        if attempt.HasField("end_time") and status.HasField("end_time"):
            assert attempt.end_time.ToDatetime() <= status.end_time.ToDatetime()
