"""The `Work` stream: which jobs are dispatched, how many at a time, and in which frames."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT, Payload
from tests.api.support.fixtures import Create
from tests.api.support.worker import OK, success
from tests.api.support.worker_stream import answered, create_many, open_stream, subscribe, work
from tests.support.settings import TEST_SETTINGS

_RETRY_AT_ONCE = job_pb2.RetryPolicy(initial_backoff=Duration())


async def test_dispatched_job_is_whole(create: Create, channel: aio.Channel) -> None:
    job = await create(input=Payload(json_text='{"a": 1}'), labels={"k": "v"})
    async with work(channel, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT) as stream:
        frame = await stream.frame("dispatch")
        (lease,) = frame.leases
        assert frame.expires_in == Duration(seconds=30)
        assert (lease.job_id, lease.attempt, lease.last_attempt) == (job.id, 1, False)
        assert lease.input.json_text == '{"a": 1}'
        assert dict(lease.labels) == {"k": "v"}


async def test_job_created_later_is_dispatched(create: Create, channel: aio.Channel) -> None:
    async with work(channel) as stream:
        job = await create()
        assert [lease.job_id for lease in await stream.dispatched()] == [job.id]


async def test_job_that_becomes_due_is_dispatched(
    create: Create, channel: aio.Channel, sql: asyncpg.Connection
) -> None:
    await create(schedule_time={"seconds": 4_000_000_000})
    async with work(channel) as stream:
        await sql.execute("UPDATE waiting SET run_at = now()")
        assert len(await stream.dispatched()) == 1


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, poll_interval_seconds=3600.0)])
async def test_job_that_is_ready_late_is_found_before_those_that_the_search_has_passed(
    create: Create, channel: aio.Channel, sql: asyncpg.Connection
) -> None:
    async with work(channel, window=100) as stream:
        for _ in range(3):
            late = await create(schedule_time={"seconds": 4_000_000_000})
            await create()
            await stream.dispatched()
            # As if it had been created an hour ago, in a transaction that ends now.
            await sql.execute("UPDATE waiting SET run_at = now() - interval '1 hour'")
            await create()
            found: set[str] = set()
            async with asyncio.timeout(5):
                while late.id not in found:
                    found |= {lease.job_id for lease in await stream.dispatched()}


async def test_dispatch_keeps_to_the_window(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    ids = await create_many(jobs, 7)
    async with work(channel, window=3) as stream:
        leases = []
        while len(leases) < 3:
            leases += await stream.dispatched()
        await answered(stream)
        assert await sql.fetchval("SELECT count(*) FROM lease") == 3
        assert await stream.report(success(leases[0]), success(leases[1])) == [OK, OK]
        while len(leases) < 5:
            leases += await stream.dispatched()
        await stream.set_window(5)
        while len(leases) < 7:
            leases += await stream.dispatched()
        assert sorted(lease.job_id for lease in leases) == sorted(ids)


async def test_window_below_what_is_held_takes_nothing_away(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await create_many(jobs, 4)
    async with work(channel, window=2) as stream:
        leases = []
        while len(leases) < 2:
            leases += await stream.dispatched()
        await stream.set_window(1)
        assert await stream.report(success(leases[0])) == [OK]
        await answered(stream)
        assert await sql.fetchval("SELECT count(*) FROM lease") == 1
        assert await stream.report(success(leases[1])) == [OK]
        assert len(await stream.dispatched()) == 1


async def test_max_leases_bounds_one_queue(
    channel: aio.Channel, create: Create, declare: Callable[..., Awaitable[Any]]
) -> None:
    await declare("other")
    for name in ("q", "q", "q", "other"):
        await create(queue=name)
    frame = subscribe(window=10)
    frame.queues[0].max_leases = 2
    frame.queues.add(queue="other")
    async with open_stream(channel) as stream:
        await stream.send(subscribe=frame)
        await stream.frame("subscribed")
        leases = []
        while len(leases) < 3:
            leases += await stream.dispatched()
        assert sorted(lease.queue for lease in leases) == ["other", "q", "q"]
        done = next(lease for lease in leases if lease.queue == "q")
        assert await stream.report(success(done)) == [OK]
        assert [lease.queue for lease in await stream.dispatched()] == ["q"]


@pytest.mark.parametrize(("asked", "most"), [(0, 100), (7, 7), (200, 200)])
async def test_frames_bring_as_many_jobs_as_asked_for_or_100(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, asked: int, most: int
) -> None:
    ids = await create_many(jobs, 1000)
    async with work(channel, window=10_000, max_dispatch_leases=asked) as stream:
        frames = []
        while sum(map(len, frames)) < 1000:
            frames.append(await stream.dispatched())
        assert max(map(len, frames)) == most
        assert sorted(lease.job_id for leases in frames for lease in leases) == sorted(ids)


async def test_frames_bring_at_most_a_quarter_mebibyte(
    channel: aio.Channel, jobs: JobServiceStub, queue: str
) -> None:
    large = Payload(json_text='{"a": "' + "x" * 60_000 + '"}')
    await create_many(jobs, 9, input=large)
    async with work(channel, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT) as stream:
        sizes = []
        while sum(sizes) < 9:
            frame = await stream.frame("dispatch")
            assert frame.ByteSize() <= 262_144
            sizes.append(len(frame.leases))
            await stream.acknowledge()
        assert max(sizes) == 4


async def test_two_workers_share_a_queue(
    channel: aio.Channel, jobs: JobServiceStub, queue: str
) -> None:
    async with (
        work(channel, window=5, worker_id="w1") as one,
        work(channel, window=5, worker_id="w2") as two,
    ):
        ids = await create_many(jobs, 10)
        shares = []
        for stream in (one, two):
            leases = []
            while len(leases) < 5:
                leases += await stream.dispatched()
            shares.append({lease.job_id for lease in leases})
        assert [len(share) for share in shares] == [5, 5]
        assert shares[0] | shares[1] == set(ids)
