"""Where callers are authenticated, a share is that of a service, wherever it calls from."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.app import Replica
from jobsvc.domain.identity import ROLES
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import Payload
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.identities import Metadata, authenticating, bearer
from tests.api.support.peer import peer
from tests.api.support.refusal import Refusal, refused
from tests.api.support.worker_stream import HandStream, subscribe
from tests.support.issuer import Issuer

#: Of ten, a service that is alone gets eight.
_ALONE = 8
_KIB = 1024
_MESSAGE_BYTES = 512 * _KIB


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, issuer: Issuer) -> Settings:
    return replace(
        authenticating(settings, tmp_path, issuer),
        max_calls=10,
        max_status_streams=10,
        max_worker_streams=10,
        max_message_bytes=_MESSAGE_BYTES,
        max_bytes_in_progress=8 * _MESSAGE_BYTES,
        pool_size=12,
    )


@pytest.fixture
def shop(issuer: Issuer) -> Metadata:
    return bearer(issuer.token("shop", tuple(ROLES)))


@pytest.fixture
def bank(issuer: Issuer) -> Metadata:
    """Another service, at the same address."""
    return bearer(issuer.token("bank", tuple(ROLES)))


@pytest.fixture
async def elsewhere(server: Replica) -> AsyncIterator[aio.Channel]:
    """A channel from another address."""
    async with peer(server, "127.0.0.2") as channel:
        yield channel


@pytest.fixture
async def queue(channel: aio.Channel, issuer: Issuer) -> str:
    request = queue_pb.UpdateQueueRequest(queue=queue_pb.Queue(name="q"), allow_missing=True)
    declared = bearer(issuer.token("declarer", ("queues.admin",)))
    await QueueServiceStub(channel).UpdateQueue(request, metadata=declared)
    return "q"


async def _create(channel: aio.Channel, metadata: Metadata, text: str = "{}") -> str:
    spec = job_pb2.JobSpec(
        queue="q", input=Payload(json_text=text), schedule_delay=Duration(seconds=600)
    )
    request = pb.CreateJobRequest(spec=spec)
    return (await JobServiceStub(channel).CreateJob(request, metadata=metadata)).job.id


def _check(seen: Refusal, reason: str, kind: str) -> None:
    assert seen.what == (grpc.StatusCode.RESOURCE_EXHAUSTED, reason)
    (violation,) = seen.details["QuotaFailure"].violations
    assert violation.subject == f"your share of {kind}"
    assert seen.details["RetryInfo"].retry_delay.seconds == 1


async def _until_held(calls: list[Awaitable[Any]], count: int) -> list[asyncio.Future[Any]]:
    """Starts calls of which all but `count` are refused, and returns those that are held."""
    living = {asyncio.ensure_future(call) for call in calls}
    while len(living) > count:
        done, living = await asyncio.wait(living, timeout=30, return_when="FIRST_COMPLETED")
        assert done
        for call in done:
            _check(await refused(call), "RATE_LIMITED", "WaitJob calls")
    assert len(living) == count
    return list(living)


def _wait(channel: aio.Channel, job_id: str, metadata: Metadata, seconds: int) -> Awaitable[Any]:
    request = pb.WaitJobRequest(job_id=job_id, timeout=Duration(seconds=seconds))
    call = JobServiceStub(channel).WaitJob(request, metadata=metadata)
    return cast(Awaitable[Any], call)


async def test_waiting_calls_of_a_service_leave_a_share_to_another_at_its_address(
    channel: aio.Channel, elsewhere: aio.Channel, queue: str, shop: Metadata, bank: Metadata
) -> None:
    job_id, other = await _create(channel, shop), await _create(channel, bank)
    held = await _until_held([_wait(channel, job_id, shop, 60) for _ in range(20)], _ALONE)
    # The same service elsewhere is the same caller; another one here is not.
    _check(await refused(_wait(elsewhere, job_id, shop, 0)), "RATE_LIMITED", "WaitJob calls")
    await _wait(channel, other, bank, 0)
    for call in held:
        call.cancel()


async def test_first_calls_with_new_tokens_count_for_their_service(
    channel: aio.Channel, queue: str, issuer: Issuer, shop: Metadata, bank: Metadata
) -> None:
    job_id, other = await _create(channel, shop), await _create(channel, bank)

    def fresh(number: int) -> Metadata:
        return bearer(issuer.token("shop", tuple(ROLES), jti=f"{number}"))

    held = [_wait(channel, job_id, fresh(number), 60) for number in range(20)]
    living = await _until_held(held, _ALONE)
    await _wait(channel, other, bank, 0)
    for call in living:
        call.cancel()


async def test_streams_of_a_service_leave_a_share_to_another_at_its_address(
    channel: aio.Channel, elsewhere: aio.Channel, queue: str, shop: Metadata, bank: Metadata
) -> None:
    def follow(where: aio.Channel, job_id: str, metadata: Metadata) -> Any:
        request = pb.StreamJobStatusRequest(job_ids=[job_id])
        return JobServiceStub(where).StreamJobStatus(request, metadata=metadata)

    job_id, other = await _create(channel, shop), await _create(channel, bank)
    calls = [follow(channel, job_id, shop) for _ in range(_ALONE)]
    for call in calls:
        await call.read()
    for where in (channel, elsewhere):
        seen = await refused(follow(where, job_id, shop).read())
        _check(seen, "STREAM_LIMIT", "status streams")
    calls.append(follow(channel, other, bank))
    await calls[-1].read()
    for call in calls:
        call.cancel()


async def test_worker_streams_of_a_service_leave_a_share_to_another_at_its_address(
    channel: aio.Channel, queue: str, shop: Metadata, bank: Metadata
) -> None:
    workers = WorkerServiceStub(channel)

    async def work(name: str, metadata: Metadata) -> HandStream:
        stream = HandStream(workers.Work(metadata=metadata))
        await stream.send(subscribe=subscribe(worker_id=name, queues=("q",)))
        return stream

    async with AsyncExitStack() as streams:
        for number in range(_ALONE):
            stream = await work(f"w{number}", shop)
            streams.callback(stream.call.cancel)
            await stream.frame("subscribed")
        beyond = HandStream(workers.Work(metadata=shop))
        _check(await refused(beyond.call.read()), "STREAM_LIMIT", "worker streams")
        other = await work("other", bank)
        streams.callback(other.call.cancel)
        await other.frame("subscribed")


async def test_refused_calls_of_all_kinds_leave_no_count_behind(
    channel: aio.Channel, queue: str, issuer: Issuer, shop: Metadata
) -> None:
    job_id = await _create(channel, shop)
    for number in range(3 * _ALONE):
        # New tokens, so that each counts for the address first: one proves nobody, one has no role,
        # one is good.
        for subject, metadata in {
            "": bearer("no.token.at-all"),
            "nobody": bearer(issuer.token("nobody", (), jti=f"{number}")),
            "shop": bearer(issuer.token("shop", tuple(ROLES), jti=f"{number}")),
        }.items():
            call = _wait(channel, job_id, metadata, 0)
            if subject == "shop":
                await call
            else:
                assert (await refused(call)).code in (
                    grpc.StatusCode.UNAUTHENTICATED,
                    grpc.StatusCode.PERMISSION_DENIED,
                )
    held = await _until_held([_wait(channel, job_id, shop, 60) for _ in range(20)], _ALONE)
    for call in held:
        call.cancel()


async def test_bytes_of_a_service_leave_a_share_to_another_at_its_address(
    channel: aio.Channel, queue: str, shop: Metadata, bank: Metadata, sql: asyncpg.Connection
) -> None:
    jobs = JobServiceStub(channel)

    def large(metadata: Metadata) -> Any:
        """A call whose request needs less than a share, and more than is left. Its name is no
        name."""
        request = queue_pb.GetQueueRequest(name="x" * 200 * _KIB)
        return QueueServiceStub(channel).GetQueue(request, metadata=metadata)

    spec = job_pb2.JobSpec(queue="q", input=Payload(json_text=f'{{"a":"{"x" * 250 * _KIB}"}}'))
    batch = pb.BatchCreateJobsRequest(requests=[pb.CreateJobRequest(spec=spec)] * 2)
    async with sql.transaction():
        await sql.execute("LOCK TABLE job IN EXCLUSIVE MODE")
        calls = {
            asyncio.ensure_future(cast(Awaitable[Any], jobs.BatchCreateJobs(batch, metadata=shop)))
            for _ in range(_ALONE)
        }
        # Three have the bytes that one caller may have, and wait for the database; four, if all
        # were read before the first one's answer was reckoned with.
        while len(calls) > 4:
            done, calls = await asyncio.wait(calls, timeout=30, return_when="FIRST_COMPLETED")
            assert done
            for call in done:
                _check(await refused(call), "RATE_LIMITED", "bytes of requests and answers")
        _check(await refused(large(shop)), "RATE_LIMITED", "bytes of requests and answers")
        assert (await refused(large(bank))).code == grpc.StatusCode.INVALID_ARGUMENT
    done, _ = await asyncio.wait(calls, timeout=30)
    created = [call for call in done if call.exception() is None]
    assert len(created) >= 3
    for call in done - set(created):
        _check(await refused(call), "RATE_LIMITED", "bytes of requests and answers")
