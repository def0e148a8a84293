"""Long work gives everyone else on the loop a turn: after every item or part here, after 5 ms
otherwise."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import asyncpg
import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.domain.outcome import MAX_REDELIVERIES
from jobsvc.event_loop import time_slice
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import Payload, PayloadSchema
from jobsvc.v1.queue_service_pb2 import GetQueueStatsRequest, ListQueuesRequest, Queue
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2 import LeaseJobsRequest, WorkerInfo
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.worker import lease_all, report, success
from tests.support.probe import eventually

_ITEMS = 20
#: As Structs, ten of these make a part.
_INPUT = '{"a": [' + ",".join("0" * 1000) + "]}"

Declare = Callable[..., Awaitable[Queue]]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows with every turn that is given."""
    count: list[None] = []
    give = TimeSlice.yield_

    async def counted(self: TimeSlice) -> None:
        count.append(None)
        await give(self)

    monkeypatch.setattr(time_slice, "_SLICE_SECONDS", 0.0)
    monkeypatch.setattr(TimeSlice, "yield_", counted)
    return count


@pytest.fixture
async def strict(declare: Declare) -> None:
    """The queue checks what goes in and what comes out."""
    schema = PayloadSchema()
    schema.json_schema.update({"type": "object"})
    await declare(input_schema=schema, output_schema=schema)


def _channel_to(replica: Replica) -> aio.Channel:
    return aio.insecure_channel(f"127.0.0.1:{replica.port}")


async def _batch(jobs: JobServiceStub) -> Any:
    spec = job_pb2.JobSpec(queue="q", input=Payload(json_text=_INPUT))
    items = [pb.CreateJobRequest(spec=spec)] * _ITEMS
    return await jobs.BatchCreateJobs(pb.BatchCreateJobsRequest(requests=items))


@pytest.mark.usefixtures("strict")
async def test_batch_is_read_and_checked_in_turns(jobs: JobServiceStub, given: list[None]) -> None:
    await _batch(jobs)
    assert len(given) >= 2 * _ITEMS


@pytest.mark.usefixtures("strict")
async def test_jobs_are_leased_and_outcomes_read_and_checked_in_turns(
    jobs: JobServiceStub, workers: WorkerServiceStub, given: list[None]
) -> None:
    created = await _batch(jobs)
    given.clear()
    leases = await lease_all(workers)
    assert len(given) >= _ITEMS / 10
    assert [lease.job_id for lease in leases] == [r.job.id for r in created.responses]
    given.clear()
    results = await report(workers, *(success(lease, "{}") for lease in leases))
    assert set(results) == {("OK", "")}
    assert len(given) >= 2 * _ITEMS - 1


async def test_queues_are_listed_and_counted_in_turns(
    declare: Declare, queues: QueueServiceStub, given: list[None]
) -> None:
    for n in range(_ITEMS):
        await declare(f"q{n}")
    await queues.ListQueues(ListQueuesRequest())
    assert len(given) == _ITEMS
    await queues.GetQueueStats(GetQueueStatsRequest())
    assert len(given) == 2 * _ITEMS


@pytest.mark.usefixtures("strict", "given")
async def test_answer_that_would_come_too_late_is_not_given(
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    sql: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await _batch(jobs)

    async def give(self: TimeSlice) -> None:
        await asyncio.sleep(0.98)

    monkeypatch.setattr(TimeSlice, "yield_", give)
    request = LeaseJobsRequest(worker=WorkerInfo(worker_id="w"), queues=["q"])
    await asyncio.gather(workers.LeaseJobs(request, timeout=1.0), return_exceptions=True)

    async def leased() -> int:
        return int(await sql.fetchval("SELECT count(*) FROM lease"))

    await eventually(leased, lambda count: count == 0)
    rows = await sql.fetch("SELECT attempt, returns FROM waiting")
    assert [tuple(row) for row in rows] == [(0, 0)] * _ITEMS


@pytest.mark.usefixtures("strict", "given")
@pytest.mark.parametrize("server_leaves", [False, True], ids=["caller", "server"])
async def test_who_leaves_while_jobs_are_written_down_loses_none(
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    sql: asyncpg.Connection,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
    monkeypatch: pytest.MonkeyPatch,
    server_leaves: bool,
) -> None:
    await _batch(jobs)
    await sql.execute("UPDATE waiting SET returns = $1", MAX_REDELIVERIES)
    writing = asyncio.Event()

    async def give(self: TimeSlice) -> None:
        writing.set()
        await asyncio.sleep(3600)

    async with AsyncExitStack() as stack:
        stack.enter_context(monkeypatch.context()).setattr(TimeSlice, "yield_", give)
        async with start_replica() as leaving:
            channel = await stack.enter_async_context(_channel_to(leaving))
            asked = WorkerServiceStub(channel) if server_leaves else workers
            leasing = asyncio.create_task(lease_all(asked))
            await writing.wait()
            if not server_leaves:
                leasing.cancel()
                await asyncio.gather(leasing, return_exceptions=True)
        await asyncio.gather(leasing, return_exceptions=True)
    again: list[int] = []
    async with asyncio.timeout(10):
        while len(again) < _ITEMS:
            again += [lease.attempt for lease in await lease_all(workers, worker_id="w2")]
    assert again == [1] * _ITEMS
