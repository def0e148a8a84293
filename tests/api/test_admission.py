"""Calls beyond a limit are refused before anything is written, until calls have ended."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.api.call_limit import caller_of
from jobsvc.api.guard import Context
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.refusal import Refusal, refusal, refused
from tests.api.support.status_stream import follow, synced, update
from tests.api.support.worker_stream import open_stream, work
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def _check(seen: Refusal, reason: str) -> None:
    assert seen.what == (_EXHAUSTED, reason)
    assert seen.details["QuotaFailure"].violations
    assert seen.details["RetryInfo"].retry_delay.seconds == 1


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, max_status_streams=2)])
async def test_status_streams_are_limited(create: Create, jobs: JobServiceStub) -> None:
    job = await create()
    calls = [follow(jobs, job.id) for _ in range(2)]
    for call in calls:
        await update(call)
        await synced(call)
    _check(await refused(follow(jobs, job.id).read()), "STREAM_LIMIT")
    calls[0].cancel()

    async def opened() -> bool:
        call = follow(jobs, job.id)
        try:
            await call.read()
        except aio.AioRpcError as error:
            _check(refusal(error), "STREAM_LIMIT")
            return False
        call.cancel()
        return True

    await eventually(opened)


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, max_worker_streams=1)])
async def test_worker_streams_are_limited(channel: aio.Channel, create: Create) -> None:
    async with work(channel, worker_id="w1") as first:
        async with open_stream(channel) as second:
            # At once: a frame might be too late to be sent.
            _check(await second.refusal(), "STREAM_LIMIT")
        await create()
        assert len(await first.dispatched()) == 1
        await first.leave()
    async with work(channel, worker_id="w2") as third:
        await third.leave()


async def _beyond(calls: Iterable[Awaitable[Any]], count: int) -> set[asyncio.Future[Any]]:
    """Starts calls of which `count` must be refused at once, and returns the others."""
    living = {asyncio.ensure_future(call) for call in calls}
    ended: set[asyncio.Future[Any]] = set()
    while len(ended) < count:
        done, living = await asyncio.wait(living, timeout=10, return_when="FIRST_COMPLETED")
        assert done
        ended |= done
    for call in ended:
        _check(await refused(call), "RATE_LIMITED")
    return living


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, max_calls=3)])
async def test_calls_are_limited_and_nothing_is_written_beyond(
    create: Create, sql: asyncpg.Connection
) -> None:
    await sql.execute("BEGIN; LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
    admitted = await _beyond((create() for _ in range(10)), 7)
    await sql.execute("ROLLBACK")
    created = {(await call).id for call in admitted}
    rows = await sql.fetch("SELECT id::text FROM job")
    assert {row["id"] for row in rows} == created
    assert (await create()).id


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, max_calls=3)])
async def test_waiting_calls_are_limited_apart(create: Create, jobs: JobServiceStub) -> None:
    request = pb.WaitJobRequest(job_id=(await create()).id, timeout=Duration(seconds=60))
    waiting = await _beyond((jobs.WaitJob(request) for _ in range(10)), 7)
    # Other calls go on.
    assert (await create()).id
    for call in waiting:
        call.cancel()

    async def admitted() -> bool:
        try:
            return bool(await jobs.WaitJob(pb.WaitJobRequest(job_id=request.job_id, timeout={})))
        except aio.AioRpcError as error:
            _check(refusal(error), "RATE_LIMITED")
            return False

    await eventually(admitted)


async def test_caller_is_the_address_without_its_port(tmp_path: Path) -> None:
    async def told(_: bytes, context: Context) -> bytes:
        return caller_of(context.peer()).encode()

    server = aio.server()
    handler = grpc.unary_unary_rpc_method_handler(told)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a", {"b": handler}),))
    targets = {
        f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}": "ipv4:127.0.0.1",
        f"[::1]:{server.add_insecure_port('[::1]:0')}": "ipv6:%5B::1%5D",
        f"unix:{tmp_path}/socket": "unix",
    }
    server.add_insecure_port(f"unix:{tmp_path}/socket")
    await server.start()
    for target, caller in targets.items():
        async with aio.insecure_channel(target) as channel:
            assert await channel.unary_unary("/a/b")(b"") == caller.encode()
    await server.stop(None)


async def test_burst_of_calls_is_answered(create: Create, jobs: JobServiceStub) -> None:
    request = pb.StreamJobStatusRequest(job_ids=[(await create()).id])
    streams = [jobs.StreamJobStatus(request) for _ in range(1500)]
    answers = await asyncio.gather(*(stream.read() for stream in streams))
    assert {answer.update.queue for answer in answers} == {"q"}
    for stream in streams:
        stream.cancel()
