"""Works on many `Work` streams: each job takes a quarter of a second, in which nothing is done.

`python -m bench.streams.worker TARGET STREAMS WINDOW`. First step: opens the streams.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from grpc import aio

from bench.streams.steps import next_step
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.payload_pb2 import PayloadEncoding
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceAsyncStub

QUEUE = "followed"
_CHANNELS = 4
_RUN_SECONDS = 0.25
_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


async def _work(
    stub: WorkerServiceAsyncStub, name: str, window: int, subscribed: asyncio.Semaphore
) -> None:
    call = stub.Work()
    writing = asyncio.Lock()

    async def report(leases: list[pb.JobLease]) -> None:
        await asyncio.sleep(_RUN_SECONDS)
        done = pb.ReportOutcomesRequest(succeeded_lease_ids=[x.lease_id for x in leases])
        async with writing:
            await call.write(pb.WorkRequest(report_outcomes=done))

    subscribe = pb.Subscribe(
        worker=pb.WorkerInfo(worker_id=name),
        queues=[pb.QueueSubscription(queue=QUEUE)],
        window=window,
        payload_encoding=PayloadEncoding.PAYLOAD_ENCODING_JSON_TEXT,
    )
    await call.write(pb.WorkRequest(subscribe=subscribe))
    async with asyncio.TaskGroup() as tasks:
        while isinstance(frame := await call.read(), pb.WorkResponse):
            if frame.HasField("subscribed"):
                subscribed.release()
            if frame.HasField("dispatch"):
                tasks.create_task(report(list(frame.dispatch.leases)))
            for result in frame.outcome_results.results:
                if result.status.code:
                    raise RuntimeError(f"{result.lease_id}: {result.status.message}")


async def _run(target: str, streams: int, window: int) -> None:
    async with AsyncExitStack() as stack:
        stubs: list[WorkerServiceAsyncStub] = [
            WorkerServiceStub(
                await stack.enter_async_context(aio.insecure_channel(target, _OPTIONS))
            )
            for _ in range(_CHANNELS)
        ]
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        subscribed = asyncio.Semaphore(0)
        await next_step()
        working = [
            tasks.create_task(_work(stubs[n % _CHANNELS], f"worker-{n}", window, subscribed))
            for n in range(streams)
        ]
        for _ in range(streams):
            await subscribed.acquire()
        await next_step({})
        for task in working:
            task.cancel()


def main() -> None:
    """Works as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams.worker")
    parser.add_argument("target")
    parser.add_argument("streams", type=int)
    parser.add_argument("window", type=int)
    chosen = parser.parse_args()
    asyncio.run(_run(chosen.target, chosen.streams, chosen.window))


if __name__ == "__main__":
    main()
