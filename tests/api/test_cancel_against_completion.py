"""A confirmed cancel and a completion never both win: many jobs, two replicas, all at once."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import worker_service_pb2 as worker_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.refusal import refusal
from tests.api.support.worker import LOST, OK, cancelled, report, success
from tests.api.support.worker_stream import HandStream, create_many, work
from tests.support.probe import eventually

_JOBS = 300
_CONFLICT = (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE_CONFLICT")
_CANCELLED, _COMPLETED = job_pb2.JOB_STATE_CANCELLED, job_pb2.JOB_STATE_COMPLETED

pytestmark = pytest.mark.timeout(120)


class _History:
    """What clients saw of each job."""

    def __init__(self) -> None:
        #: States in which cancels were answered; 0 for a conflict.
        self.cancels: dict[str, list[int]] = defaultdict(list)
        #: Outcomes that were reported, and whether each was accepted.
        self.outcomes: dict[str, list[tuple[str, bool]]] = defaultdict(list)


class _Worker:
    """Reports success a moment after the dispatch, and meanwhile confirms cancels: both for the
    same job if need be, by either replica, each in a call of its own."""

    def __init__(
        self,
        stream: HandStream,
        worker_id: str,
        channels: list[aio.Channel],
        history: _History,
        chance: random.Random,
    ) -> None:
        self._stream, self._worker_id, self._history = stream, worker_id, history
        self._stubs, self._chance = [WorkerServiceStub(c) for c in channels], chance
        self.reporting = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                frame = await self._stream.read()
                for lease in frame.dispatch.leases:
                    self.reporting += 1
                    tasks.create_task(self._report("success", success(lease), 0.05))
                if frame.HasField("dispatch"):
                    await self._stream.acknowledge()
                for status in frame.lease_statuses.leases:
                    if status.state == worker_pb.LEASE_STATE_CANCEL_REQUESTED:
                        lease = worker_pb.JobLease(lease_id=status.lease_id)
                        self.reporting += 1
                        tasks.create_task(self._report("cancelled", cancelled(lease), 0.01))

    async def _report(self, kind: str, outcome: worker_pb.JobOutcome, seconds: float) -> None:
        await asyncio.sleep(self._chance.uniform(0, seconds))  # the work, or the clean-up
        stub = self._chance.choice(self._stubs)
        (result,) = await report(stub, outcome, worker_id=self._worker_id)
        assert result in (OK, LOST)
        self._history.outcomes[outcome.lease_id[:36]].append((kind, result == OK))
        self.reporting -= 1


async def _cancel(
    jobs: JobServiceStub, job_id: str, history: _History, delay_seconds: float
) -> None:
    await asyncio.sleep(delay_seconds)  # so that it meets its job in any state
    try:
        answer = await jobs.CancelJob(pb.CancelJobRequest(job_id=job_id, reason="race"))
        history.cancels[job_id].append(answer.job.status.state)
    except aio.AioRpcError as error:
        if refusal(error).what != _CONFLICT:
            raise
        history.cancels[job_id].append(0)


@pytest.mark.parametrize("seed", [1, 2])
async def test_confirmed_cancel_and_completion_never_both_win(
    channel: aio.Channel,
    queue: str,
    sql: asyncpg.Connection,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
    seed: int,
) -> None:
    chance, history = random.Random(seed), _History()
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as elsewhere,
        work(channel, 20, worker_id="here") as one,
        work(elsewhere, 20, worker_id="there") as two,
        asyncio.TaskGroup() as tasks,
    ):
        channels = [channel, elsewhere]
        workers = [
            _Worker(stream, worker_id, channels, history, chance)
            for stream, worker_id in ((one, "here"), (two, "there"))
        ]
        running = [tasks.create_task(worker.run()) for worker in workers]
        callers = [JobServiceStub(c) for c in channels]
        job_ids = await create_many(callers[0], _JOBS)
        await asyncio.gather(
            *(
                _cancel(chance.choice(callers), job_id, history, chance.uniform(0, 1.0))
                for job_id in job_ids
                for _ in range(chance.choice([1, 1, 2]))
            )
        )
        await eventually(
            lambda: sql.fetchval("SELECT count(*) FROM result"), lambda n: n == _JOBS, seconds=60
        )
        await eventually(lambda: not any(worker.reporting for worker in workers))
        for task in running:
            task.cancel()

    rows = await sql.fetch("SELECT job_id::text, state, cancel_request_time, lease_id FROM result")
    assert await sql.fetchval("SELECT count(*) FROM job") == _JOBS
    fates: Counter[str] = Counter()
    for row in rows:
        state, cancels = row["state"], history.cancels[row["job_id"]]
        accepted = [kind for kind, ok in history.outcomes[row["job_id"]] if ok]
        assert len(accepted) <= 1
        if _CANCELLED in cancels:
            assert (state, "success" in accepted) == (_CANCELLED, False)
        if 0 in cancels or "success" in accepted:
            assert (state, accepted) == (_COMPLETED, ["success"])
        assert state in (_CANCELLED, _COMPLETED)
        waited = row["lease_id"] is None
        fates[f"{state} {'waiting' if waited else row['cancel_request_time'] is not None}"] += 1
    # The race was one: ended while it waited, confirmed, overtaken by a success, too late.
    assert set(fates) == {"5 waiting", "5 True", "3 True", "3 False"}, fates
