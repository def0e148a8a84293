"""SIGTERM under load: everything in hand is brought to an end or handed on, and nothing is lost."""

import asyncio
import time
from collections.abc import Callable, Iterable

import grpc
import pytest
from grpc import aio

from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.queue_service_pb2 import GetQueueRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.e2e.support.caller import Caller, reason_of
from tests.e2e.support.history import AnyEvent, Close, Create, Update
from tests.e2e.support.processes import Server, Worker
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

pytestmark = pytest.mark.xdist_group("e2e")

DRAIN_SECONDS = 4
#: What comes on top: ending the streams, closing the pool, PostgreSQL's shutdown.
MARGIN_SECONDS = 8


async def _create_until(caller: Caller, stop: asyncio.Event, job_ids: list[str]) -> None:
    """Creates and follows, a few jobs at a time, until told to stop."""
    async with asyncio.TaskGroup() as follows:
        while not stop.is_set():
            some = [await caller.create("nap", {"seconds": 0.02}) for _ in range(5)]
            job_ids += some
            follows.create_task(caller.follow(some))


def _ends(events: Iterable[AnyEvent]) -> set[tuple[str, str]]:
    return {(e.code, e.reason) for e in events if isinstance(e, Close) and e.code != "OK"}


def _updates(stage: Stage, job_id: str) -> list[Update]:
    events = stage.history.events()
    return [e for e in events if isinstance(e, Update) and e.job_id == job_id]


async def test_server_drains_under_load_and_nothing_is_lost(stage: Stage) -> None:
    server = await stage.serve(embedded=True, drain_seconds=2 * DRAIN_SECONDS)
    worker = await stage.work(server.target)
    stop = asyncio.Event()
    job_ids: list[str] = []
    async with stage.calls(server.target) as caller, asyncio.TaskGroup() as tasks:
        running = [await caller.create("nap", {"seconds": 5}) for _ in range(3)]
        tasks.create_task(caller.follow(running))
        for _ in range(4):
            tasks.create_task(_create_until(caller, stop, job_ids))
        await eventually(lambda: len(caller.ended) > 50, seconds=20, what="load")
        assert len(stage.history.runs(*running)) == 3
        assert not any(job_id in caller.ended for job_id in running)

        server.terminate()
        began = time.monotonic()
        assert await server.exited(2 * DRAIN_SECONDS + MARGIN_SECONDS) == 0
        drain_seconds = time.monotonic() - began
        assert ("UNAVAILABLE", "SERVER_DRAINING") in _ends(stage.history.events())
        await stage.serve(embedded=True, port=server.port)
        ended = len(caller.ended)
        await eventually(lambda: len(caller.ended) > ended + 20, seconds=20, what="load goes on")
        stop.set()
    print(f"drained in {drain_seconds:.1f} s")

    async with stage.calls(server.target) as caller:
        jobs = await stage.check(caller, [*running, *job_ids], stage.embedded_dsn)
    assert all(job.succeeded and job.status.attempt == 1 for job in jobs.values())
    # What ran when the signal came was brought to its end under the old leases.
    assert len(stage.history.runs(*running)) == 3
    assert worker.exit_code is None


async def test_server_without_workers_exits_at_once(stage: Stage) -> None:
    server = await stage.serve(drain_seconds=20)
    async with stage.calls(server.target) as caller, asyncio.TaskGroup() as tasks:
        await caller.client.declare_queue("nap")
        job_id = await caller.create("nap")
        follow = tasks.create_task(caller.follow([job_id]))
        await eventually(lambda: _updates(stage, job_id), what="an open stream")
        server.terminate()
        assert await server.exited(MARGIN_SECONDS) == 0
        await eventually(lambda: _ends(stage.history.events()), what="end of the stream")
        assert ("UNAVAILABLE", "SERVER_DRAINING") in _ends(stage.history.events())
        follow.cancel()


async def test_rolling_restart_of_two_replicas_goes_unnoticed(stage: Stage) -> None:
    first, second = [await stage.serve(drain_seconds=DRAIN_SECONDS) for _ in range(2)]
    target = f"ipv4:{first.target},{second.target}"
    worker = await stage.work(target)
    stop = asyncio.Event()
    job_ids: list[str] = []
    async with stage.calls(target) as caller:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(_create_until(caller, stop, job_ids))
            await eventually(lambda: len(caller.ended) > 50, seconds=20, what="load")
            for server in (first, second):
                await _restart(stage, server)
                ended = len(caller.ended)
                await eventually(
                    lambda n=ended: len(caller.ended) > n + 50, seconds=20, what="load goes on"
                )
            stop.set()
        jobs = await stage.check(caller, job_ids)
    assert all(job.succeeded and job.status.attempt == 1 for job in jobs.values())
    results = [e.result for e in stage.history.events() if isinstance(e, Create)]
    assert results == ["ok"] * len(job_ids), "a creation failed although a replica was there"
    assert worker.exit_code is None


async def _restart(stage: Stage, server: Server) -> None:
    server.terminate()
    assert await server.exited(DRAIN_SECONDS + MARGIN_SECONDS) == 0
    await stage.serve(port=server.port, drain_seconds=DRAIN_SECONDS)


async def test_worker_that_stays_is_told_to_drain_and_dismissed_in_the_end(stage: Stage) -> None:
    server = await stage.serve(drain_seconds=1)
    async with aio.insecure_channel(server.target) as channel:
        call = WorkerServiceStub(channel).Work()
        subscribe = pb.Subscribe(queues=[pb.QueueSubscription(queue="nap")], window=1)
        subscribe.worker.worker_id = "by-hand"
        await call.write(pb.WorkRequest(subscribe=subscribe))
        frame = await call.read()
        assert isinstance(frame, pb.WorkResponse)
        assert frame.HasField("subscribed")
        server.terminate()
        frame = await call.read()
        assert isinstance(frame, pb.WorkResponse)
        assert frame.drain.grace.ToTimedelta().total_seconds() == 1
        with pytest.raises(aio.AioRpcError) as ended:
            await call.read()
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(ended.value) == "SERVER_DRAINING"
    assert await server.exited(MARGIN_SECONDS) == 0


@pytest.mark.parametrize("ask", [Worker.terminate, Worker.interrupt])
async def test_leaving_worker_ends_what_runs_and_hands_back_the_rest(
    stage: Stage, ask: Callable[[Worker], None]
) -> None:
    server = await stage.serve()
    options = ("--concurrency", "2", "--window", "6", "--grace", "8")
    worker = await stage.work(server.target, *options)
    async with stage.calls(server.target) as caller:
        short = await caller.create("nap", {"seconds": 5})
        long = await caller.create("nap", {"seconds": 60})
        waiting = [await caller.create("nap") for _ in range(4)]
        await eventually(lambda: len(stage.history.runs(short, long)) == 2, what="two jobs run")
        await eventually(lambda: _held(stage, worker.id, 6), what="a full window")

        ask(worker)
        assert await worker.exited(8 + MARGIN_SECONDS) == 0
        assert await _held(stage, worker.id, 0)
        assert len(stage.history.runs(short)) == 1
        await caller.follow([short])
        assert caller.output(short)["attempt"] == 1
        # Handed back, not lost: a lease that runs out uses an attempt.
        await stage.work(server.target)
        await caller.follow(waiting)
        assert {caller.output(job_id)["attempt"] for job_id in waiting} == {1}
        runs = await eventually(lambda: stage.history.runs(long)[1:], what="the long one again")
        assert runs[0].attempt == 1


async def _held(stage: Stage, worker_id: str, count: int) -> bool:
    rows = await fetch(stage.dsn, "SELECT FROM lease WHERE worker_id = $1", worker_id)
    return len(rows) == count


async def test_callers_without_a_pause_are_told_that_the_server_leaves(stage: Stage) -> None:
    refusals: list[aio.AioRpcError] = []
    answers = 0

    async def call_until_cut_off(target: str) -> None:
        nonlocal answers
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        async with aio.insecure_channel(target, options=options) as channel:
            get_queue = QueueServiceStub(channel).GetQueue
            while True:
                try:
                    await get_queue(GetQueueRequest(name="nap"))
                    answers += 1
                except aio.AioRpcError as error:
                    refusals.append(error)
                    if reason_of(error) != "SERVER_DRAINING":
                        break

    for _ in range(2):
        server = await stage.serve()
        async with stage.calls(server.target) as caller:
            await caller.client.declare_queue("nap")
        before = answers
        async with asyncio.TaskGroup() as tasks:
            for _ in range(16):
                tasks.create_task(call_until_cut_off(server.target))
            await eventually(lambda n=before: answers > n + 100, what="callers at work")
            server.terminate()
        assert await server.exited(MARGIN_SECONDS) == 0
    assert {error.code() for error in refusals} == {grpc.StatusCode.UNAVAILABLE}
    assert "SERVER_DRAINING" in map(reason_of, refusals)
