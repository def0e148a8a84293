"""Streams that break, are replaced, or fall deaf: leases run on, deliveries that were lost on the
way go back without using an attempt."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.worker import OK, report, success
from tests.api.support.worker_stream import answered, create_many, open_stream, subscribe, work
from tests.support.settings import TEST_SETTINGS

_DEAF = (grpc.StatusCode.UNAVAILABLE, "WORKER_DEAF")
#: For tests in which nothing may come back for want of an acknowledgement.
_LONG_ACKNOWLEDGE = replace(TEST_SETTINGS, acknowledge_seconds=60.0)
_HELD, _LOST = pb.LEASE_STATE_HELD, pb.LEASE_STATE_LOST


@pytest.mark.parametrize("settings", [_LONG_ACKNOWLEDGE])
async def test_states_of_held_leases_are_told(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, workers: WorkerServiceStub
) -> None:
    await create_many(jobs, 3)
    async with work(channel) as stream:
        held, ended, cancelling = await stream.dispatched()
    assert await report(workers, success(ended)) == [OK]
    job_id, number = held.lease_id.split(".")
    texts = [ended.lease_id, held.lease_id, "nonsense", f"{job_id}.{int(number) + 9}"]
    async with open_stream(channel) as stream:
        await stream.send(subscribe=subscribe(held_lease_ids=[*texts, cancelling.lease_id]))
        answer = await stream.frame("subscribed")
        told = {status.lease_id: status.state for status in answer.held_leases}
        assert told == dict.fromkeys(texts, _LOST) | {
            held.lease_id: _HELD,
            cancelling.lease_id: _HELD,
        }
        assert await stream.report(success(held), success(cancelling)) == [OK, OK]


@pytest.mark.parametrize("settings", [_LONG_ACKNOWLEDGE])
async def test_leases_are_taken_over_in_parts_each_of_them_once(
    channel: aio.Channel, jobs: JobServiceStub, queue: str
) -> None:
    count = 1005  # More than are taken over in one go.
    await create_many(jobs, 1000)
    await create_many(jobs, count - 1000)
    leases: list[pb.JobLease] = []
    async with work(channel, window=count) as stream:
        while len(leases) < count:
            leases += await stream.dispatched()
        ids = [lease.lease_id for lease in leases]
    async with open_stream(channel) as stream:
        held = [*ids, "nonsense", ids[0]]
        await stream.send(subscribe=subscribe(window=count + 1, held_lease_ids=held))
        told = (await stream.frame("subscribed")).held_leases
        assert [status.lease_id for status in told] == [*ids, "nonsense"]
        assert [status.state for status in told] == [*[_HELD] * count, _LOST]
        await create_many(jobs, 2)
        assert len(await stream.dispatched()) == 1
        last = leases[1000:]
        assert await stream.report(*map(success, last)) == [OK] * len(last)


@pytest.mark.parametrize("settings", [_LONG_ACKNOWLEDGE])
async def test_held_leases_count_against_the_window(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await create_many(jobs, 4)
    async with work(channel, window=2) as stream:
        leases = await stream.dispatched()
        assert len(leases) == 2
    held = [lease.lease_id for lease in leases]
    async with work(channel, window=3, held_lease_ids=held) as stream:
        assert len(await stream.dispatched()) == 1
        assert await stream.report(success(leases[0])) == [OK]
        assert len(await stream.dispatched()) == 1
    assert await sql.fetchval("SELECT count(*) FROM lease") == 3


@pytest.mark.parametrize("settings", [_LONG_ACKNOWLEDGE])
async def test_lease_that_is_not_listed_goes_back_at_once(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await create_many(jobs, 2, retry_policy=job_pb2.RetryPolicy(max_attempts=1))
    async with work(channel) as stream:
        leases = await stream.dispatched()
    async with work(channel, held_lease_ids=[leases[0].lease_id]) as stream:
        (again,) = await stream.dispatched()
        assert (again.job_id, again.attempt) == (leases[1].job_id, 1)
        assert again.lease_id != leases[1].lease_id
        assert await stream.report(success(leases[0]), success(again)) == [OK, OK]
    states = await sql.fetch("SELECT state, attempt FROM result")
    assert [tuple(row) for row in states] == [(3, 1), (3, 1)]


@pytest.mark.parametrize("settings", [_LONG_ACKNOWLEDGE])
async def test_lost_delivery_uses_no_attempt_ten_times(
    channel: aio.Channel, create: Create, sql: asyncpg.Connection
) -> None:
    await create()
    for _ in range(11):
        async with work(channel) as stream:
            (lease,) = await stream.dispatched()
            assert lease.attempt == 1
    assert await sql.fetchval("SELECT redeliveries FROM lease") == 10
    async with work(channel) as stream:
        # From now on it is left to lapse, as an attempt.
        assert await sql.fetchval("SELECT count(*) FROM lease") == 1
        await sql.execute("UPDATE lease SET until = now() - interval '1 second'")
        (lease,) = await stream.dispatched()
        assert lease.attempt == 2


@pytest.mark.parametrize("settings", [_LONG_ACKNOWLEDGE])
async def test_leases_of_other_workers_are_left_alone(
    channel: aio.Channel, create: Create, sql: asyncpg.Connection
) -> None:
    await create()
    async with work(channel, worker_id="w1") as one:
        (lease,) = await one.dispatched()
        async with work(channel, worker_id="w2", held_lease_ids=[lease.lease_id]) as two:
            # Nor may it take over what it says it holds.
            answer = await two.extend(pb.LeaseExtension(lease_id=lease.lease_id))
            assert [status.state for status in answer] == [_LOST]
        assert await one.report(success(lease)) == [OK]


async def test_unacknowledged_job_comes_again_and_the_stream_ends(
    channel: aio.Channel, create: Create
) -> None:
    await create()
    async with work(channel) as deaf:
        (lease,) = await deaf.dispatched(acknowledge=False)
        async with work(channel, worker_id="w2", window=5) as other:
            refusal = await deaf.refusal()
            assert refusal.what == _DEAF
            assert "RetryInfo" in refusal.details
            (again,) = await other.dispatched()
            assert (again.job_id, again.attempt) == (lease.job_id, 1)
            assert await other.report(success(again)) == [OK]


async def test_server_that_stood_still_does_not_call_its_workers_deaf(
    channel: aio.Channel, create: Create
) -> None:
    async with work(channel) as stream:
        await create()
        (lease,) = await stream.dispatched(acknowledge=False)
        time.sleep(3.5)  # noqa: ASYNC251  # The server stands still, and reads nothing.
        await answered(stream)
        assert await stream.report(success(lease)) == [OK]


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, acknowledge_seconds=2.0)])
@pytest.mark.parametrize("by", ["acknowledge", "extend", "report", "report by id"])
async def test_acknowledged_job_stays(
    channel: aio.Channel, create: Create, sql: asyncpg.Connection, by: str
) -> None:
    await create()
    async with (
        work(channel, window=1) as stream,
        work(channel, worker_id="deaf", queues=("other",)) as deaf,
    ):
        (lease,) = await stream.dispatched(acknowledge=False)
        await create(queue="other")
        await deaf.dispatched(acknowledge=False)
        if by == "acknowledge":
            await stream.acknowledge()
        elif by == "extend":
            await stream.extend(pb.LeaseExtension(lease_id=lease.lease_id))
        else:
            # The report has arrived, but what it says cannot be written for a while.
            await sql.execute("BEGIN; LOCK TABLE lease IN SHARE ROW EXCLUSIVE MODE")
            request = (
                pb.ReportOutcomesRequest(outcomes=[success(lease)])
                if by == "report"
                else pb.ReportOutcomesRequest(succeeded_lease_ids=[lease.lease_id])
            )
            await stream.send(report_outcomes=request)
        # It got its job later: whoever else is deaf has been found by now.
        assert (await deaf.refusal()).what == _DEAF
        if by.startswith("report"):
            await sql.execute("ROLLBACK")
            answer = await stream.frame("outcome_results")
            assert [*answer.committed_lease_ids, *[r.lease_id for r in answer.results]] == [
                lease.lease_id
            ]
            assert all(result.status.code == 0 for result in answer.results)
        else:
            assert await stream.report(success(lease)) == [OK]


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, acknowledge_seconds=0.3)])
async def test_unacknowledged_jobs_of_a_worker_that_vanished_are_back(
    server: Replica, channel: aio.Channel, create: Create, settings: Settings
) -> None:
    job = await create(retry_policy=job_pb2.RetryPolicy(max_attempts=1))
    async with aio.insecure_channel(f"127.0.0.1:{server.port}") as doomed, work(doomed) as stream:
        await stream.dispatched(acknowledge=False)
    async with work(channel, worker_id="w2") as other:
        (again,) = await other.dispatched()
        assert (again.job_id, again.attempt) == (job.id, 1)


async def test_another_replica_takes_the_worker_over(
    channel: aio.Channel,
    create: Create,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
) -> None:
    job = await create()
    async with work(channel) as stream:
        (lease,) = await stream.dispatched()
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as elsewhere,
        work(elsewhere, held_lease_ids=[lease.lease_id]) as stream,
    ):
        assert await stream.report(success(lease)) == [OK]
        await create()
        (second,) = await stream.dispatched()
        assert second.job_id != job.id
