"""Large batches of one caller are written one after the other, and hold up no other call."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any, cast

import asyncpg
from grpc import aio

from jobsvc.api.large_writes import LargeWrites
from jobsvc.app import Replica
from jobsvc.event_loop.turns import turn_caller
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.peer import peer
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

_BLOCKED = """SELECT FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND query LIKE '%Writes jobs and their queue%'"""


def _batch(jobs: JobServiceStub, queue: str, size_bytes: int) -> asyncio.Future[Any]:
    text = json.dumps({"a": "x" * (size_bytes // 100)})
    spec = job_pb2.JobSpec(queue=queue, input=payload_pb2.Payload(json_text=text))
    request = pb.BatchCreateJobsRequest(requests=[pb.CreateJobRequest(spec=spec)] * 100)
    return asyncio.ensure_future(cast(Awaitable[Any], jobs.BatchCreateJobs(request)))


async def test_large_batches_of_a_caller_are_written_one_by_one(
    server: Replica, jobs: JobServiceStub, queue: str, dsn: str, sql: asyncpg.Connection
) -> None:
    async with peer(server, "127.0.0.2") as channel:
        async with sql.transaction():
            # Who writes jobs of a queue locks its row, too.
            await sql.execute("SELECT FROM queue WHERE name = $1 FOR UPDATE", queue)
            large = [_batch(jobs, queue, 2_000_000) for _ in range(3)]
            await eventually(lambda: _is_blocked(dsn, 1))
            small = _batch(jobs, queue, 1_000)
            await eventually(lambda: _is_blocked(dsn, 2))
            of_another: JobServiceStub = JobServiceStub(cast(aio.Channel, channel))
            others = _batch(of_another, queue, 2_000_000)
            await eventually(lambda: _is_blocked(dsn, 3))
        for batch in (*large, small, others):
            assert len((await batch).responses) == 100


async def _is_blocked(dsn: str, batches: int) -> bool:
    count = len(await fetch(dsn, _BLOCKED))
    assert count <= batches
    return count == batches


async def test_large_writes_of_two_callers_do_not_begin_in_one_pass() -> None:
    writes = LargeWrites(1)
    passes, began = 0, []

    async def count_passes() -> None:
        nonlocal passes
        while True:
            await asyncio.sleep(0)  # a pass
            passes += 1

    async def write(caller: str) -> None:
        turn_caller.set(caller)
        async with writes.room():
            began.append(passes)

    counting = asyncio.create_task(count_passes())
    await asyncio.gather(write("a"), write("b"))
    counting.cancel()
    assert len(set(began)) == 2
