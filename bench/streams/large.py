"""Requests as large as the limits allow, one at a time.

`python -m bench.streams.large TARGET`: each step makes the next of `KINDS`, a few times.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from grpc import aio

from bench.streams.steps import next_step, percentiles
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_pb
from jobsvc.v1 import worker_service_pb2 as work_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from jobsvc.v1.queue_service_pb2_grpc import QueueServiceAsyncStub
    from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceAsyncStub

QUEUE = "large"
#: Its payloads are checked against a schema.
STRICT_QUEUE = "strict"
#: Its jobs have inputs of a thousand fields.
WIDE_QUEUE = "wide"
_ITEMS = 1000
_MAX_LEASED = 100
_TIMES = 5
#: A thousand of these fill 4 MiB.
_BYTES = 4_000
_FIELDS = {f"key-{n}": n for n in range(120)}
_WIDE = payload_pb2.Payload(json_text=json.dumps({f"key-{n}": "x" * 20 for n in range(1000)}))
_NUMBERS: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "number"}}
_OPTIONS = (("grpc.max_receive_message_length", -1),)


def _numbers() -> payload_pb2.Payload:
    payload = payload_pb2.Payload()
    payload.json.update(_FIELDS)
    return payload


class _Caller:
    def __init__(self, channel: aio.Channel) -> None:
        self._jobs: JobServiceAsyncStub = JobServiceStub(channel)
        self._workers: WorkerServiceAsyncStub = WorkerServiceStub(channel)
        self._queues: QueueServiceAsyncStub = QueueServiceStub(channel)
        self._leases: list[str] = []

    async def declare(self) -> None:
        schema = payload_pb2.PayloadSchema()
        schema.json_schema.update(_NUMBERS)
        for queue in (
            queue_pb.Queue(name=STRICT_QUEUE, input_schema=schema, output_schema=schema),
            queue_pb.Queue(name=WIDE_QUEUE),
        ):
            await self._queues.UpdateQueue(
                queue_pb.UpdateQueueRequest(queue=queue, allow_missing=True)
            )

    async def create(
        self, payload: payload_pb2.Payload, queue: str = QUEUE, items: int = _ITEMS
    ) -> list[str]:
        item = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue, input=payload))
        request = pb.BatchCreateJobsRequest(requests=[item] * items)
        return [r.job.id for r in (await self._jobs.BatchCreateJobs(request)).responses]

    async def create_text(self) -> None:
        await self.create(payload_pb2.Payload(json_text='{"n": "' + "x" * (_BYTES - 9) + '"}'))

    async def create_structs(self) -> None:
        await self.create(_numbers(), STRICT_QUEUE)

    async def follow(self) -> None:
        ids = await self.create(payload_pb2.Payload(json_text="{}"))
        call = self._jobs.StreamJobStatus(pb.StreamJobStatusRequest(job_ids=ids))
        while (response := await call.read()) is not aio.EOF:
            assert isinstance(response, pb.StreamJobStatusResponse)
            if response.HasField("synced"):
                break
        call.cancel()

    async def lease(self) -> None:
        for _ in range(_ITEMS // _MAX_LEASED):
            self._leases += await self._lease(QUEUE)

    async def lease_structs(self) -> None:
        await self.create(_WIDE, WIDE_QUEUE, _MAX_LEASED)
        await self._lease(WIDE_QUEUE)

    async def _lease(self, queue: str) -> list[str]:
        request = work_pb.LeaseJobsRequest(
            worker=work_pb.WorkerInfo(worker_id="large"), queues=[queue], max_jobs=_MAX_LEASED
        )
        return [lease.lease_id for lease in (await self._workers.LeaseJobs(request)).leases]

    async def work_structs(self) -> None:
        call = self._workers.Work()
        subscribe = work_pb.Subscribe(
            worker=work_pb.WorkerInfo(worker_id="large"),
            queues=[work_pb.QueueSubscription(queue=STRICT_QUEUE)],
            window=_ITEMS,
            max_dispatch_leases=_ITEMS,
        )
        await call.write(work_pb.WorkRequest(subscribe=subscribe))
        self._leases = []
        while len(self._leases) < _ITEMS:
            frame = await call.read()
            assert isinstance(frame, work_pb.WorkResponse)
            acknowledge = work_pb.Acknowledge(sequence=frame.sequence)
            await call.write(work_pb.WorkRequest(acknowledge=acknowledge))
            self._leases += [lease.lease_id for lease in frame.dispatch.leases]
        output = _numbers()
        done = work_pb.JobSuccess(output=output)
        outcomes = [work_pb.JobOutcome(lease_id=i, success=done) for i in self._leases[:_ITEMS]]
        report = work_pb.ReportOutcomesRequest(outcomes=outcomes)
        await call.write(work_pb.WorkRequest(report_outcomes=report))
        while True:
            frame = await call.read()
            assert isinstance(frame, work_pb.WorkResponse)
            if frame.HasField("outcome_results"):
                break
        assert not any(result.status.code for result in frame.outcome_results.results)
        call.cancel()

    async def extend(self) -> None:
        extensions = [work_pb.LeaseExtension(lease_id=i) for i in self._leases[:_ITEMS]]
        await self._workers.ExtendLeases(
            work_pb.ExtendLeasesRequest(worker_id="large", extensions=extensions)
        )

    async def report(self) -> None:
        output = payload_pb2.Payload(json_text='{"n": "' + "x" * (_BYTES - 9) + '"}')
        done = work_pb.JobSuccess(output=output)
        now, self._leases = self._leases[: _ITEMS - 20], self._leases[_ITEMS - 20 :]
        outcomes = [work_pb.JobOutcome(lease_id=i, success=done) for i in now]
        response = await self._workers.ReportOutcomes(
            work_pb.ReportOutcomesRequest(worker_id="large", outcomes=outcomes)
        )
        assert not any(result.status.code for result in response.results)


#: In this order each kind finds the jobs or leases that it needs.
KINDS: dict[str, Callable[[_Caller], Awaitable[None]]] = {
    "BatchCreateJobs, 1,000 jobs, 4 MiB, json_text": _Caller.create_text,
    "BatchCreateJobs, 1,000 jobs, 3 MiB, Structs for a schema": _Caller.create_structs,
    "StreamJobStatus over 1,000 jobs (created before)": _Caller.follow,
    "LeaseJobs, 10 x 100 jobs": _Caller.lease,
    "LeaseJobs, 100 jobs, 4 MiB, Structs (created before)": _Caller.lease_structs,
    "ExtendLeases, 1,000 leases": _Caller.extend,
    "ReportOutcomes, 980 outcomes, 4 MiB, json_text": _Caller.report,
    "Work, 1,000 jobs and their outcomes, 3 MiB each, Structs": _Caller.work_structs,
}


async def _run(target: str) -> None:
    async with aio.insecure_channel(target, _OPTIONS) as channel:
        caller = _Caller(channel)
        await caller.declare()
        await next_step()
        for make in KINDS.values():
            taken = []
            for _ in range(_TIMES):
                began = time.perf_counter()
                await make(caller)
                taken.append(time.perf_counter() - began)
            await next_step(percentiles("call", taken))


def main() -> None:
    """Makes the requests against a target."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams.large")
    parser.add_argument("target")
    asyncio.run(_run(parser.parse_args().target))


if __name__ == "__main__":
    main()
