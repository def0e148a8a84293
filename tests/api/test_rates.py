"""A service that calls or creates more often than it may is told when it may again, nothing of the
call is done, and no other service hears of it."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.domain.identity import ROLES
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_pb
from jobsvc.v1 import worker_service_pb2 as worker_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Tables
from tests.api.support.identities import POLICY, Metadata, authenticating, bearer
from tests.api.support.refusal import Refusal, details_of, refused
from tests.support.issuer import Issuer
from tests.support.stream_write import write

#: So slow that nothing comes back while a test runs, unless it waits for it.
_RATES = """
[[rules]]
identity = "jwt:calls"
share = {calls_per_second = 0.01, calls_burst = 3}

[[rules]]
identity = "jwt:jobs"
share = {jobs_per_second = 0.01, jobs_burst = 3}

[[rules]]
identity = "jwt:quick"
share = {calls_per_second = 2, calls_burst = 1}
"""


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, issuer: Issuer) -> Settings:
    made = authenticating(settings, tmp_path, issuer)
    (tmp_path / "policy.toml").write_text(POLICY + _RATES)
    return made


@pytest.fixture
async def queue(channel: aio.Channel, issuer: Issuer) -> str:
    request = queue_pb.UpdateQueueRequest(queue=queue_pb.Queue(name="q"), allow_missing=True)
    declared = bearer(issuer.token("declarer", ("queues.admin",)))
    await QueueServiceStub(channel).UpdateQueue(request, metadata=declared)
    return "q"


def _metadata(issuer: Issuer, name: str) -> Metadata:
    return bearer(issuer.token(name, tuple(ROLES)))


def _check(seen: Refusal, kind: str, least_seconds: float, most_seconds: float) -> None:
    assert seen.what == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    (violation,) = seen.details["QuotaFailure"].violations
    assert violation.subject == f"your rate of {kind}"
    delay = seen.details["RetryInfo"].retry_delay
    assert least_seconds < delay.ToNanoseconds() / 1e9 <= most_seconds


def _item() -> pb.CreateJobRequest:
    return pb.CreateJobRequest(
        spec=job_pb2.JobSpec(queue="q", schedule_delay=Duration(seconds=600))
    )


def _create(channel: aio.Channel, metadata: Metadata) -> Any:
    return JobServiceStub(channel).CreateJob(_item(), metadata=metadata)


def _batch(channel: aio.Channel, metadata: Metadata, count: int, dry: bool = False) -> Any:
    item = _item()
    item.validate_only = dry
    request = pb.BatchCreateJobsRequest(requests=[item] * count)
    return JobServiceStub(channel).BatchCreateJobs(request, metadata=metadata)


async def test_calls_and_streams_beyond_the_rate_are_refused_and_nobody_elses(
    channel: aio.Channel, queue: str, issuer: Issuer, tables: Tables
) -> None:
    calls, others = _metadata(issuer, "calls"), _metadata(issuer, "others")
    job_id = (await _create(channel, calls)).job.id
    for _ in range(2):
        await _create(channel, calls)
    before = await tables()
    _check(await refused(_create(channel, calls)), "calls", 50, 100)
    request = pb.StreamJobStatusRequest(job_ids=[job_id])
    stream = JobServiceStub(channel).StreamJobStatus(request, metadata=calls)
    _check(await refused(stream.read()), "calls", 50, 100)
    # With a token that is not known yet, too.
    again = bearer(issuer.token("calls", tuple(ROLES), jti="2"))
    _check(await refused(_create(channel, again)), "calls", 50, 100)
    assert await tables() == before
    for _ in range(10):
        await _create(channel, others)


async def test_reports_and_extensions_are_never_too_many(
    channel: aio.Channel, queue: str, issuer: Issuer
) -> None:
    workers, calls = WorkerServiceStub(channel), _metadata(issuer, "calls")
    for _ in range(5):
        request = worker_pb.ExtendLeasesRequest(
            extensions=[worker_pb.LeaseExtension(lease_id="018f4e7a-0000-4000-8000-000000000001")]
        )
        await workers.ExtendLeases(request, metadata=calls)


async def test_call_is_served_after_the_delay_that_its_refusal_names(
    channel: aio.Channel, queue: str, issuer: Issuer
) -> None:
    quick = _metadata(issuer, "quick")
    await _create(channel, quick)
    seen = await refused(_create(channel, quick))
    _check(seen, "calls", 0, 0.5)
    seconds = seen.details["RetryInfo"].retry_delay.ToNanoseconds() / 1e9
    await asyncio.sleep(seconds)  # As the server asks.
    await _create(channel, quick)


async def test_created_jobs_beyond_the_rate_are_refused_and_nobody_elses(
    channel: aio.Channel, queue: str, issuer: Issuer, tables: Tables
) -> None:
    jobs, others = _metadata(issuer, "jobs"), _metadata(issuer, "others")
    # To ask what would be created is to create nothing.
    await _batch(channel, jobs, 20, dry=True)
    await _create(channel, jobs)
    before = await tables()
    # Each job of a batch counts, and the batch is one.
    _check(await refused(_batch(channel, jobs, 3)), "created jobs", 50, 100)
    assert await tables() == before
    await _batch(channel, jobs, 2)
    before = await tables()
    for seen in (await refused(_create(channel, jobs)), await refused(_batch(channel, jobs, 1))):
        _check(seen, "created jobs", 50, 100)
    assert await tables() == before
    await _batch(channel, others, 20)


async def test_batch_beyond_the_burst_is_created_once_and_owed_after(
    channel: aio.Channel, queue: str, issuer: Issuer
) -> None:
    jobs = _metadata(issuer, "jobs")
    assert len((await _batch(channel, jobs, 10)).responses) == 10
    _check(await refused(_create(channel, jobs)), "created jobs", 700, 800)


async def test_jobs_of_a_stream_are_refused_each_for_itself_and_one_after_the_other(
    channel: aio.Channel, queue: str, issuer: Issuer, sql: Any
) -> None:
    call = JobServiceStub(channel).Submit(metadata=_metadata(issuer, "jobs"))
    jobs = []
    for tag in range(5):
        request = _item()
        request.request_id = f"018f4e7a-0000-4000-8000-00000000000{tag}"
        jobs.append(pb.SubmitJob(tag=tag, request=request))
    await write(call, pb.SubmitRequest(jobs=jobs))
    results: dict[int, Any] = {}
    while len(results) < 5:
        results |= {result.tag: result for result in (await call.read()).results}
    call.cancel()
    assert [results[tag].WhichOneof("result") for tag in range(5)] == ["created"] * 3 + [
        "error"
    ] * 2
    for tag, most in ((3, 100), (4, 200)):
        error = results[tag].error
        details: dict[str, Any] = details_of(error)
        assert (error.code, details["ErrorInfo"].reason) == (8, "RATE_LIMITED")
        assert details["QuotaFailure"].violations[0].subject == "your rate of created jobs"
        assert most - 50 < details["RetryInfo"].retry_delay.seconds <= most
    assert await sql.fetchval("SELECT count(*) FROM job") == 3
