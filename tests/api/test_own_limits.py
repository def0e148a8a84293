"""What the policy lets a service have in progress holds beside what all callers share."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.domain.identity import ROLES
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import Payload
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.identities import POLICY, Metadata, authenticating, bearer
from tests.api.support.refusal import Refusal, refused
from tests.api.support.worker_stream import HandStream, subscribe
from tests.support.issuer import Issuer

_KIB = 1024
_SHARES = f"""
[[rules]]
identity = "jwt:shop"
share = {{streams = 3, waiting_calls = 2, bytes_in_progress = {300 * _KIB}}}
"""


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, issuer: Issuer) -> Settings:
    made = authenticating(settings, tmp_path, issuer)
    (tmp_path / "policy.toml").write_text(_SHARES + POLICY)
    return replace(made, pool_size=12)


@pytest.fixture
def shop(issuer: Issuer) -> Metadata:
    return bearer(issuer.token("shop", tuple(ROLES)))


@pytest.fixture
def bank(issuer: Issuer) -> Metadata:
    """A service with no limits of its own."""
    return bearer(issuer.token("bank", tuple(ROLES)))


@pytest.fixture
async def queue(channel: aio.Channel, issuer: Issuer) -> str:
    request = queue_pb.UpdateQueueRequest(queue=queue_pb.Queue(name="q"), allow_missing=True)
    declared = bearer(issuer.token("declarer", ("queues.admin",)))
    await QueueServiceStub(channel).UpdateQueue(request, metadata=declared)
    return "q"


async def _create(channel: aio.Channel, metadata: Metadata) -> str:
    spec = job_pb2.JobSpec(queue="q", schedule_delay=Duration(seconds=600))
    request = pb.CreateJobRequest(spec=spec)
    return (await JobServiceStub(channel).CreateJob(request, metadata=metadata)).job.id


def _check(seen: Refusal, reason: str, kind: str) -> None:
    assert seen.what == (grpc.StatusCode.RESOURCE_EXHAUSTED, reason)
    (violation,) = seen.details["QuotaFailure"].violations
    assert violation.subject == f"your share of {kind}"
    assert seen.details["RetryInfo"].retry_delay.ToMilliseconds() > 0


def _follow(channel: aio.Channel, job_id: str, metadata: Metadata) -> Any:
    request = pb.StreamJobStatusRequest(job_ids=[job_id])
    return JobServiceStub(channel).StreamJobStatus(request, metadata=metadata)


def _wait(channel: aio.Channel, job_id: str, metadata: Metadata, seconds: int) -> Awaitable[Any]:
    request = pb.WaitJobRequest(job_id=job_id, timeout=Duration(seconds=seconds))
    call = JobServiceStub(channel).WaitJob(request, metadata=metadata)
    return cast(Awaitable[Any], call)


async def test_streams_of_all_kinds_are_counted_together(
    channel: aio.Channel, queue: str, shop: Metadata, bank: Metadata
) -> None:
    job_id, other = await _create(channel, shop), await _create(channel, bank)
    followed = [_follow(channel, job_id, shop) for _ in range(2)]
    for call in followed:
        await call.read()
    work = HandStream(WorkerServiceStub(channel).Work(metadata=shop))
    await work.send(subscribe=subscribe(worker_id="w", queues=("q",)))
    await work.frame("subscribed")
    _check(await refused(_follow(channel, job_id, shop).read()), "STREAM_LIMIT", "streams")
    beyond = HandStream(WorkerServiceStub(channel).Work(metadata=shop))
    _check(await refused(beyond.call.read()), "STREAM_LIMIT", "streams")
    others = [_follow(channel, other, bank) for _ in range(5)]
    for call in others:
        await call.read()
    # What has ended counts no more.
    work.call.cancel()
    again = await _until_admitted(lambda: _follow(channel, job_id, shop))
    for call in (*followed, *others, again):
        call.cancel()


async def _until_admitted(follow: Any) -> Any:
    async with asyncio.timeout(60):
        while True:
            call = follow()
            try:
                await call.read()
            except aio.AioRpcError:
                await asyncio.sleep(0.05)  # Between two tries.
            else:
                return call


async def test_waiting_calls_are_counted_and_others_are_not(
    channel: aio.Channel, queue: str, issuer: Issuer, shop: Metadata, bank: Metadata
) -> None:
    job_id, other = await _create(channel, shop), await _create(channel, bank)
    calls = {asyncio.ensure_future(_wait(channel, job_id, shop, 60)) for _ in range(3)}
    done, calls = await asyncio.wait(calls, timeout=60, return_when="FIRST_COMPLETED")
    (beyond,) = done
    _check(await refused(beyond), "RATE_LIMITED", "waiting calls")
    # A token that nobody has seen yet counts for its service all the same.
    fresh = bearer(issuer.token("shop", tuple(ROLES), jti="fresh"))
    _check(await refused(_wait(channel, job_id, fresh, 0)), "RATE_LIMITED", "waiting calls")
    await JobServiceStub(channel).GetJob(pb.GetJobRequest(job_id=job_id), metadata=shop)
    await asyncio.gather(*(_wait(channel, other, bank, 0) for _ in range(3)))
    for call in calls:
        call.cancel()


async def test_bytes_in_hand_are_counted_before_anything_is_written(
    channel: aio.Channel, queue: str, shop: Metadata, bank: Metadata, sql: asyncpg.Connection
) -> None:
    spec = job_pb2.JobSpec(queue="q", input=Payload(json_text=f'{{"a":"{"x" * 200 * _KIB}"}}'))
    request = pb.CreateJobRequest(spec=spec)
    jobs = JobServiceStub(channel)
    async with sql.transaction():
        await sql.execute("LOCK TABLE job IN EXCLUSIVE MODE")
        held = [asyncio.ensure_future(cast(Any, jobs.CreateJob(request, metadata=shop)))]
        held += [
            asyncio.ensure_future(cast(Any, jobs.CreateJob(request, metadata=shop)))
            for _ in range(3)
        ]
        others = [
            asyncio.ensure_future(cast(Any, jobs.CreateJob(request, metadata=bank)))
            for _ in range(4)
        ]
        while len(held) > 1:
            done, left = await asyncio.wait(held, timeout=60, return_when="FIRST_COMPLETED")
            assert done
            for call in done:
                seen = await refused(call)
                _check(seen, "RATE_LIMITED", "bytes of requests and answers")
            held = list(left)
    await asyncio.gather(*held, *others)
    assert await sql.fetchval("SELECT count(*) FROM job") == 5
