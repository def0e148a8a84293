"""A caller that takes all it can get.

`python -m bench.neighbours.offender TARGET KIND…`: each step does the next kind until its standard
input has another line, and prints how many calls were answered and refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from jobsvc.v1.queue_service_pb2_grpc import QueueServiceAsyncStub

QUEUE = "offender"
STRICT_QUEUE = "offender-strict"
_BATCHES, _BATCH_JOBS, _BATCH_BYTES = 60, 1000, 3_700
_WAITS, _STREAMS, _CALLS = 2_000, 10_000, 16
_SCHEMAS, _SCHEMA_BYTES = 20, 900_000
#: Pause of one that was refused, so that this process does not compete for the processors.
_PAUSE_SECONDS = 1.0
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))


class Offender:
    """Its calls, and what became of them."""

    def __init__(self, jobs: JobServiceAsyncStub, queues: QueueServiceAsyncStub) -> None:
        self._jobs = jobs
        self._queues = queues
        self._counts = {"answered": 0.0, "refused": 0.0, "failed": 0.0}
        self._job_id = ""

    def take_counts(self) -> dict[str, float]:
        """How many calls were answered, refused or failed since the last call."""
        taken, self._counts = self._counts, dict.fromkeys(self._counts, 0.0)
        return taken

    async def prepare(self) -> None:
        """Declares queues, some with large schemas, and a job that never runs."""
        costly = {"anyOf": [{"pattern": f"^[a-z]{{1,9}}{n}$"} for n in range(20)]}
        strict = {"properties": {"a": {"items": {"type": ["string", "number"], **costly}}}}
        await self._declare(STRICT_QUEUE, json.dumps(strict))
        await self._declare(QUEUE)
        for n in range(_SCHEMAS):
            text = json.dumps({"description": f"{n}" + "x" * _SCHEMA_BYTES})
            await self._declare(f"offender-{n}", text)
        spec = job_pb2.JobSpec(queue=QUEUE, schedule_delay=Duration(seconds=86_400))
        self._job_id = (await self._jobs.CreateJob(pb.CreateJobRequest(spec=spec))).job.id

    async def _declare(self, name: str, schema: str = "") -> None:
        queue = queue_pb.Queue(name=name)
        if schema:
            queue.input_schema.json_schema_text = schema
        await self._queues.UpdateQueue(queue_pb.UpdateQueueRequest(queue=queue, allow_missing=True))

    async def repeat(self, count: int, call: Callable[[], Awaitable[object]]) -> None:
        """Makes so many calls at a time, each again and again, until cancelled."""

        async def again() -> None:
            while True:
                try:
                    await call()
                    self._counts["answered"] += 1
                except grpc.RpcError as error:
                    full = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                    self._counts["refused" if full else "failed"] += 1
                    await asyncio.sleep(random.uniform(0.5, 1.5) * _PAUSE_SECONDS)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(again())

    async def batches(self) -> None:
        text = json.dumps({"a": "x" * _BATCH_BYTES})
        spec = job_pb2.JobSpec(queue=QUEUE, input=payload_pb2.Payload(json_text=text))
        request = pb.BatchCreateJobsRequest(requests=[pb.CreateJobRequest(spec=spec)] * _BATCH_JOBS)
        await self.repeat(_BATCHES, lambda: self._jobs.BatchCreateJobs(request))

    async def waits(self) -> None:
        request = pb.WaitJobRequest(job_id=self._job_id, timeout=Duration(seconds=60))
        await self.repeat(_WAITS, lambda: self._jobs.WaitJob(request))

    async def streams(self) -> None:
        request = pb.StreamJobStatusRequest(job_ids=[self._job_id])

        async def follow() -> None:
            async for _ in self._jobs.StreamJobStatus(request):
                pass

        await self.repeat(_STREAMS, follow)

    async def structs(self) -> None:
        payload = payload_pb2.Payload()
        payload.json.update({"a": [[0, {}] for _ in range(30_000)]})
        await self._create(QUEUE, payload)

    async def texts(self) -> None:
        text = json.dumps({"a": [[]] * 65_000})
        await self._create(QUEUE, payload_pb2.Payload(json_text=text))

    async def checks(self) -> None:
        text = json.dumps({"a": ["abcdefgh19"] * 1_500})
        await self._create(STRICT_QUEUE, payload_pb2.Payload(json_text=text))

    async def _create(self, queue: str, payload: payload_pb2.Payload) -> None:
        spec = job_pb2.JobSpec(queue=queue, input=payload)
        request = pb.CreateJobRequest(spec=spec)
        await self.repeat(_CALLS, lambda: self._jobs.CreateJob(request))

    async def lists(self) -> None:
        request = queue_pb.ListQueuesRequest(page_size=1000)
        await self.repeat(_CALLS, lambda: self._queues.ListQueues(request))


KINDS: dict[str, Callable[[Offender], Awaitable[None]]] = {
    f"{_BATCHES} BatchCreateJobs of 3.7 MiB": Offender.batches,
    f"{_WAITS:,} WaitJob": Offender.waits,
    f"{_STREAMS:,} status streams": Offender.streams,
    f"{_CALLS} CreateJob with a large Struct": Offender.structs,
    f"{_CALLS} CreateJob with 65,000 lists": Offender.texts,
    f"{_CALLS} CreateJob with a costly schema": Offender.checks,
    f"{_CALLS} ListQueues over schemas of 900 KB": Offender.lists,
}


@asynccontextmanager
async def _doing(work: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _line(result: dict[str, Any] | None = None) -> None:
    print("ready" if result is None else json.dumps(result), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def _run(target: str, kinds: list[str]) -> None:
    async with aio.insecure_channel(target, _OPTIONS) as channel:
        offender = Offender(JobServiceStub(channel), QueueServiceStub(channel))
        await offender.prepare()
        await _line()
        for kind in kinds:
            async with _doing(KINDS[kind](offender)):
                await _line({})
            await _line(dict(offender.take_counts()))


def main() -> None:
    """Misbehaves against a target."""
    parser = argparse.ArgumentParser(prog="python -m bench.neighbours.offender")
    parser.add_argument("target")
    parser.add_argument("kinds", nargs="+", choices=KINDS, metavar="KIND")
    chosen = parser.parse_args()
    asyncio.run(_run(chosen.target, chosen.kinds))


if __name__ == "__main__":
    main()
