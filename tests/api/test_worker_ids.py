"""One process, one worker id: only the process that has it opens another stream under it, on any
replica. Everybody else is refused, and harms nobody."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, WORKER, success
from tests.api.support.worker_stream import create_many, open_stream, subscribe, work
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

_IN_USE = (grpc.StatusCode.ALREADY_EXISTS, "WORKER_ID_IN_USE")
_REPLACED = (grpc.StatusCode.ABORTED, "WORKER_REPLACED")
#: For tests in which nothing may come back for want of an acknowledgement.
_LONG_ACKNOWLEDGE = replace(TEST_SETTINGS, acknowledge_seconds=60.0)

StartReplica = Callable[[], AbstractAsyncContextManager[Replica]]


@asynccontextmanager
async def _elsewhere(start_replica: StartReplica) -> AsyncIterator[aio.Channel]:
    """A channel to another replica."""
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as channel,
    ):
        yield channel


async def _refused(channel: aio.Channel, **fields: object) -> None:
    """Subscribes, and is refused in full."""
    async with open_stream(channel) as stream:
        await stream.send(subscribe=subscribe(**fields))  # type: ignore[arg-type]  # as given
        refusal = await stream.refusal()
        assert refusal.what == _IN_USE
        assert refusal.metadata == {"workerId": WORKER}
        assert refusal.details["ResourceInfo"].resource_name == WORKER
        assert "every process needs its own" in refusal.message


async def test_stream_with_the_token_replaces_the_one_before(
    channel: aio.Channel, create: Create
) -> None:
    async with (
        work(channel) as first,
        work(channel, worker_id="w2", window=0) as bystander,
    ):
        async with work(channel, resume_token=first.token) as second:
            assert (await first.refusal()).what == _REPLACED
            assert second.token == first.token
            await create()
            assert len(await second.dispatched()) == 1
        await bystander.leave()


@pytest.mark.parametrize("token", ["", "t", "0" * 64])
async def test_stream_without_the_token_is_refused_and_changes_nothing(
    channel: aio.Channel, create: Create, tables: Tables, token: str
) -> None:
    await create()
    async with work(channel) as stream:
        (lease,) = await stream.dispatched()
        before = await tables()
        await _refused(channel, resume_token=token, queues=("unheard-of",))
        assert await tables() == before
        assert await stream.report(success(lease)) == [OK]
        await create()
        assert len(await stream.dispatched()) == 1


@pytest.mark.parametrize("settings", [_LONG_ACKNOWLEDGE])
async def test_worker_that_knows_no_token_is_known_by_a_lease_that_it_holds(
    channel: aio.Channel, create: Create
) -> None:
    await create()
    await create()
    async with work(channel) as first:
        held, ended = await first.dispatched()
        assert await first.report(success(ended)) == [OK]
        async with work(channel, held_lease_ids=["x", ended.lease_id, held.lease_id]) as second:
            assert (await first.refusal()).what == _REPLACED
            assert await second.report(success(held)) == [OK]


@pytest.mark.parametrize("settings", [_LONG_ACKNOWLEDGE])
async def test_lease_of_another_worker_or_of_the_past_shows_nothing(
    channel: aio.Channel, create: Create
) -> None:
    await create()
    async with work(channel, worker_id="w2", window=1) as other:
        (foreign,) = await other.dispatched()
        async with work(channel) as stream:
            await create()
            (ended,) = await stream.dispatched()
            assert await stream.report(success(ended)) == [OK]
            await _refused(channel, held_lease_ids=[foreign.lease_id, ended.lease_id, "x"])


async def test_of_strangers_that_subscribe_at_once_one_is_served(
    channel: aio.Channel, queue: str
) -> None:
    async with open_stream(channel) as one, open_stream(channel) as two:
        await asyncio.gather(one.send(subscribe=subscribe()), two.send(subscribe=subscribe()))
        ends = [asyncio.create_task(refused(_end(stream.call))) for stream in (one, two)]
        done, living = await asyncio.wait(ends, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert [end.result().what for end in done] == [_IN_USE]
        assert len(living) == 1
        for end in living:
            end.cancel()


@pytest.mark.parametrize("round_", range(5))
async def test_of_streams_of_one_process_that_subscribe_at_once_one_remains(
    channel: aio.Channel, queue: str, round_: int
) -> None:
    async with open_stream(channel) as one, open_stream(channel) as two:
        frame = subscribe(resume_token="token")
        await asyncio.gather(one.send(subscribe=frame), two.send(subscribe=frame))
        ends = [asyncio.create_task(refused(_end(stream.call))) for stream in (one, two)]
        done, living = await asyncio.wait(ends, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert [end.result().what for end in done] == [_REPLACED]
        assert len(living) == 1
        for end in living:
            end.cancel()


async def _end(call: aio.StreamStreamCall) -> None:
    while await call.read() is not aio.EOF:
        pass


async def test_other_replica_knows_who_has_the_id(
    channel: aio.Channel, create: Create, start_replica: StartReplica
) -> None:
    async with _elsewhere(start_replica) as elsewhere:
        async with work(channel) as first:
            await _refused(elsewhere)
            async with work(elsewhere, resume_token=first.token) as second:
                assert (await first.refusal()).what == _REPLACED
                await _refused(channel)
                await create()
                assert len(await second.dispatched()) == 1
        # Given back with the stream, so a process that is started anew need not wait.
        async with work(channel):
            pass


async def test_draining_stream_lives_on_beside_that_on_another_replica(
    channel: aio.Channel, create: Create, server: Replica, start_replica: StartReplica
) -> None:
    await create()
    async with work(channel) as first, _elsewhere(start_replica) as elsewhere:
        (lease,) = await first.dispatched()
        draining = asyncio.create_task(server.drain())
        await first.frame("drain")
        async with work(elsewhere, resume_token=first.token, held_lease_ids=[lease.lease_id]):
            await asyncio.sleep(2.2)  # The ids are saved every two seconds.
            assert await first.report(success(lease)) == [OK]
            await draining


async def test_worker_of_a_killed_replica_waits_for_its_id_and_is_not_refused(
    channel: aio.Channel, queue: str, sql: asyncpg.Connection
) -> None:
    """Even if it knows no token, and holds no lease: nobody says any more that the id is in use."""
    await sql.execute(
        "INSERT INTO worker_stream VALUES ($1, 's', 'd', now() - interval '4 seconds')", WORKER
    )
    began = time.monotonic()
    async with work(channel):
        assert 1.5 < time.monotonic() - began < 5


async def test_stream_keeps_its_id_over_a_crash_of_the_database(
    channel: aio.Channel, create: Create, sql: asyncpg.Connection
) -> None:
    async with work(channel) as stream:
        # What a crash does to an unlogged table.
        await sql.execute("TRUNCATE worker_stream")
        await eventually(lambda: sql.fetchval("SELECT count(*) FROM worker_stream"))
        await _refused(channel)
        await create()
        assert len(await stream.dispatched()) == 1


async def test_stream_that_is_here_keeps_its_id_however_long_it_was_not_saved(
    channel: aio.Channel, queue: str, sql: asyncpg.Connection
) -> None:
    async with work(channel):
        for _ in range(3):
            await sql.execute("UPDATE worker_stream SET last_seen = now() - interval '1 hour'")
            await _refused(channel)


async def test_token_is_neither_stored_nor_logged(
    channel: aio.Channel,
    queue: str,
    sql: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with work(channel) as stream, work(channel, worker_id="w2") as other:
        assert stream.token != other.token
        assert 16 <= len(stream.token) <= 64
        rows = await sql.fetch(
            "SELECT s::text, encode(token_digest, 'escape') FROM worker_stream s"
        )
        assert rows
        assert stream.token not in str(rows) + caplog.text


@pytest.mark.parametrize("settings", [_LONG_ACKNOWLEDGE])
async def test_two_processes_with_one_id_begin_every_job_once(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await create_many(jobs, 12)
    begun: Counter[str] = Counter()

    async def process() -> None:
        """Works on one job after the other, and comes again whenever its stream ends."""
        while True:
            try:
                async with work(channel, window=1) as stream:
                    while True:
                        for lease in await stream.dispatched():
                            begun[lease.job_id] += 1
                            await asyncio.sleep(0.05)  # The work.
                            await stream.report(success(lease))
            except (aio.AioRpcError, AssertionError):
                await asyncio.sleep(0.02)  # As impatient as it can be.

    async with asyncio.TaskGroup() as tasks:
        processes = [tasks.create_task(process()) for _ in range(2)]
        await eventually(
            lambda: sql.fetchval("SELECT count(*) FROM result"),
            lambda count: count == 12,
            what="the end of all jobs",
        )
        for task in processes:
            task.cancel()
    assert set(begun.values()) == {1}
    assert len(begun) == 12
    assert await sql.fetchval("SELECT count(*) FROM result WHERE attempt > 1") == 0
