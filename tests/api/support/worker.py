"""A worker that makes unary calls, one step at a time."""

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.payload_pb2 import Payload
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.refusal import details_of

WORKER = "w1"

Results = list[tuple[str, str]]
OK = ("OK", "")
LOST = ("FAILED_PRECONDITION", "LEASE_LOST")


async def lease_all(
    workers: WorkerServiceStub, max_jobs: int = 100, worker_id: str = WORKER, **fields: Any
) -> list[pb.JobLease]:
    """Leases what is ready."""
    request = pb.LeaseJobsRequest(
        worker=pb.WorkerInfo(worker_id=worker_id),
        max_jobs=max_jobs,
        **({"queues": ["q"]} | fields),
    )
    return list((await workers.LeaseJobs(request)).leases)


async def lease_one(workers: WorkerServiceStub, **fields: Any) -> pb.JobLease:
    """Leases a job that must be ready."""
    (lease,) = await lease_all(workers, max_jobs=1, **fields)
    return lease


def success(lease: pb.JobLease, text: str | None = None) -> pb.JobOutcome:
    output = None if text is None else Payload(json_text=text)
    return pb.JobOutcome(lease_id=lease.lease_id, success=pb.JobSuccess(output=output))


def failure(
    lease: pb.JobLease,
    code: int = code_pb2.UNAVAILABLE,
    retryable: bool | None = None,
    retry_delay: float | None = None,
    **error: Any,
) -> pb.JobOutcome:
    failed = pb.JobFailure(error=job_pb2.JobError(code=code, **error), retryable=retryable)
    if retry_delay is not None:
        failed.retry_delay.CopyFrom(Duration(nanos=round(retry_delay * 1e9) % 10**9))
        failed.retry_delay.seconds = int(retry_delay)
    return pb.JobOutcome(lease_id=lease.lease_id, failure=failed)


def release(lease: pb.JobLease, **fields: Any) -> pb.JobOutcome:
    return pb.JobOutcome(lease_id=lease.lease_id, release=pb.JobRelease(**fields))


def cancelled(lease: pb.JobLease) -> pb.JobOutcome:
    return pb.JobOutcome(lease_id=lease.lease_id, cancelled=pb.JobCancelled())


async def report(
    workers: WorkerServiceStub, *outcomes: pb.JobOutcome, worker_id: str = WORKER
) -> Results:
    """Reports outcomes; code and reason of the answer to each."""
    request = pb.ReportOutcomesRequest(worker_id=worker_id, outcomes=outcomes)
    answer = await workers.ReportOutcomes(request)
    assert [r.lease_id for r in answer.results] == [o.lease_id for o in outcomes]
    return results(answer)


def results(answer: pb.ReportOutcomesResponse) -> Results:
    """Code and reason of each result."""
    found = []
    for result in answer.results:
        info: Any = details_of(result.status).get("ErrorInfo")
        found.append((code_pb2.Code.Name(result.status.code), info.reason if info else ""))
    return found


Step = Callable[..., Awaitable[Any]]
