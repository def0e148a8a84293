"""ReportOutcomes: a malformed outcome is refused, and spoils no other."""

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct, Value

from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2 import GetJobRequest
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import Payload
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, lease_all, lease_one, report, success

_INVALID = ("INVALID_ARGUMENT", "INVALID_REQUEST")
_AT_ONCE = job_pb2.RetryPolicy(max_attempts=3, initial_backoff=Duration())
_PENDING, _COMPLETED, _FAILED, _CANCELLED = (
    job_pb2.JOB_STATE_PENDING,
    job_pb2.JOB_STATE_COMPLETED,
    job_pb2.JOB_STATE_FAILED,
    job_pb2.JOB_STATE_CANCELLED,
)


def _success(text: str) -> dict[str, Any]:
    return {"success": pb.JobSuccess(output=Payload(json_text=text))}


def _failure(**error: Any) -> dict[str, Any]:
    return {"failure": pb.JobFailure(error=job_pb2.JobError(**({"code": 14} | error)))}


_LONG = '{"a": "' + "x" * 262_144 + '"}'
_KINDLESS = Payload(json=Struct(fields={"a": Value()}))
_NAN = Payload()
_NAN.json["a"] = float("nan")
_MALFORMED: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({}, _INVALID),
    (_success("[]"), ("INVALID_ARGUMENT", "PAYLOAD_REJECTED")),
    (_success('{"a": "\\u0000"}'), ("INVALID_ARGUMENT", "PAYLOAD_REJECTED")),
    (_success('{"a": 1e400}'), ("INVALID_ARGUMENT", "PAYLOAD_REJECTED")),
    (_success('{"a": 1' + "0" * 400 + "}"), ("INVALID_ARGUMENT", "PAYLOAD_REJECTED")),
    ({"success": pb.JobSuccess(output=_NAN)}, ("INVALID_ARGUMENT", "PAYLOAD_REJECTED")),
    # A payload unset is the empty object; one that is set has an encoding.
    ({"success": pb.JobSuccess(output=Payload())}, ("INVALID_ARGUMENT", "PAYLOAD_REJECTED")),
    ({"success": pb.JobSuccess(output=_KINDLESS)}, ("INVALID_ARGUMENT", "PAYLOAD_REJECTED")),
    (_success(_LONG), ("INVALID_ARGUMENT", "PAYLOAD_TOO_LARGE")),
    ({"failure": pb.JobFailure()}, _INVALID),
    (_failure(code=0), _INVALID),
    (_failure(code=99), _INVALID),
    (_failure(code=-1), _INVALID),
    (_failure(reason="lower case"), _INVALID),
    (_failure(message="m" * 4097), _INVALID),
    (_failure(stack_trace="t" * 16_385), _INVALID),
    (_failure(metadata={f"{n}": "" for n in range(33)}), _INVALID),
    (
        {"failure": pb.JobFailure(error={"code": 14}, retry_delay=Duration(seconds=-1))},
        _INVALID,
    ),
    (
        {"failure": pb.JobFailure(error={"code": 14}, retry_delay=Duration(seconds=604_801))},
        _INVALID,
    ),
    ({"release": pb.JobRelease(delay=Duration(seconds=604_801))}, _INVALID),
    ({"release": pb.JobRelease(reason="r" * 501)}, _INVALID),
    ({"cancelled": pb.JobCancelled(message="m" * 501)}, _INVALID),
    (_success("{}") | {"progress": job_pb2.JobProgress(percent=101)}, _INVALID),
    (_success("{}") | {"progress": job_pb2.JobProgress(percent=-1)}, _INVALID),
    (_success("{}") | {"progress": job_pb2.JobProgress(message="m" * 501)}, _INVALID),
    # Well-formed, but nobody asked to cancel.
    ({"cancelled": pb.JobCancelled()}, _INVALID),
]


@pytest.mark.parametrize(("result", "answer"), _MALFORMED, ids=range(len(_MALFORMED)))
async def test_malformed_outcome_is_refused_and_its_neighbours_commit(
    create: Create,
    workers: WorkerServiceStub,
    status: Status,
    result: dict[str, Any],
    answer: tuple[str, str],
) -> None:
    for _ in range(3):
        await create()
    first, second, third = await lease_all(workers)
    malformed = pb.JobOutcome(lease_id=second.lease_id, **result)
    assert await report(workers, success(first), malformed, success(third)) == [OK, answer, OK]
    assert (await status(second.job_id)).state == job_pb2.JOB_STATE_PROCESSING
    assert {(await status(lease.job_id)).state for lease in (first, third)} == {_COMPLETED}
    assert await report(workers, success(second)) == [OK]


async def test_malformed_call_reports_nothing(
    create: Create, workers: WorkerServiceStub, tables: Tables
) -> None:
    await create()
    good = success(await lease_one(workers))
    before = await tables()
    nothing, nameless = pb.JobOutcome(lease_id="x" * 129), pb.JobOutcome()
    for outcomes, path in (
        ([], "outcomes"),
        ([good] * 1001, "outcomes"),
        ([good, nameless], "outcomes[1].lease_id"),
        ([good, nothing], "outcomes[1].lease_id"),
    ):
        refusal = await refused(report(workers, *outcomes))
        assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert refusal.fields == [path]
    refusal = await refused(report(workers, good, worker_id="w" * 129))
    assert refusal.fields == ["worker_id"]
    assert await tables() == before


_WILD = "one\n\ttwo\r\n\0\x1b[2J\x9b\u2028"
_TAMED = "one\n\ttwo\n\\x00\\x1b[2J\\x9b\\u2028"


async def test_no_failure_is_lost_for_the_control_characters_in_its_texts(
    create: Create, workers: WorkerServiceStub, jobs: JobServiceStub
) -> None:
    job = await create(retry_policy=job_pb2.RetryPolicy(max_attempts=1))
    lease = await lease_one(workers)
    error = job_pb2.JobError(
        code=14, message=_WILD, stack_trace=_WILD, metadata={_WILD: _WILD, "plain": "b"}
    )
    failed = pb.JobOutcome(lease_id=lease.lease_id, failure=pb.JobFailure(error=error))
    failed.progress.CopyFrom(job_pb2.JobProgress(percent=5, message=_WILD))
    # The same again is the same.
    for _ in range(2):
        assert await report(workers, failed) == [OK]
    status = (await jobs.GetJob(GetJobRequest(job_id=job.id))).job.status
    assert status.error.message == status.error.stack_trace == _TAMED
    assert dict(status.error.metadata) == {_TAMED: _TAMED, "plain": "b"}
    assert status.progress.message == _TAMED
