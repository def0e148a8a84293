"""Requests as large as the limits allow, one at a time.

`python -m bench.streams.large TARGET`: each turn makes the next of `KINDS`, a few times.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from grpc import aio

from bench.streams.turns import begin, spread
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import worker_service_pb2 as work_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceAsyncStub

QUEUE = "large"
_ITEMS = 1000
_MOST_LEASED = 100
_TIMES = 5
#: A thousand of these fill 4 MiB.
_BYTES = 4_000
_OPTIONS = (("grpc.max_receive_message_length", -1),)


class _Caller:
    def __init__(self, channel: aio.Channel) -> None:
        self._jobs: JobServiceAsyncStub = JobServiceStub(channel)
        self._workers: WorkerServiceAsyncStub = WorkerServiceStub(channel)
        self._leases: list[str] = []

    async def create(self, payload: payload_pb2.Payload, queue: str = QUEUE) -> list[str]:
        item = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue, input=payload))
        request = pb.BatchCreateJobsRequest(requests=[item] * _ITEMS)
        return [r.job.id for r in (await self._jobs.BatchCreateJobs(request)).responses]

    async def create_text(self) -> None:
        await self.create(payload_pb2.Payload(json_text='{"n": "' + "x" * (_BYTES - 9) + '"}'))

    async def create_struct(self) -> None:
        payload = payload_pb2.Payload()
        payload.json.update({f"key-{n}": n for n in range(120)})
        await self.create(payload)

    async def follow(self) -> None:
        ids = await self.create(payload_pb2.Payload(json_text="{}"))
        call = self._jobs.StreamJobStatus(pb.StreamJobStatusRequest(job_ids=ids))
        while (response := await call.read()) is not aio.EOF:
            assert isinstance(response, pb.StreamJobStatusResponse)
            if response.HasField("synced"):
                break
        call.cancel()

    async def lease(self) -> None:
        request = work_pb.LeaseJobsRequest(
            worker=work_pb.WorkerInfo(worker_id="large"), queues=[QUEUE], max_jobs=_MOST_LEASED
        )
        for _ in range(_ITEMS // _MOST_LEASED):
            got = (await self._workers.LeaseJobs(request)).leases
            self._leases += [lease.lease_id for lease in got]

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
        answer = await self._workers.ReportOutcomes(
            work_pb.ReportOutcomesRequest(worker_id="large", outcomes=outcomes)
        )
        assert not any(result.status.code for result in answer.results)


#: In an order in which each finds what it needs.
KINDS: dict[str, Callable[[_Caller], Awaitable[None]]] = {
    "BatchCreateJobs, 1,000 jobs, 4 MiB, json_text": _Caller.create_text,
    "BatchCreateJobs, 1,000 jobs, 3 MiB, Struct": _Caller.create_struct,
    "StreamJobStatus over 1,000 jobs (created before)": _Caller.follow,
    "LeaseJobs, 10 x 100 jobs": _Caller.lease,
    "ExtendLeases, 1,000 leases": _Caller.extend,
    "ReportOutcomes, 980 outcomes, 4 MiB, json_text": _Caller.report,
}


async def _run(target: str) -> None:
    async with aio.insecure_channel(target, _OPTIONS) as channel:
        caller = _Caller(channel)
        await begin()
        for make in KINDS.values():
            taken = []
            for _ in range(_TIMES):
                began = time.perf_counter()
                await make(caller)
                taken.append(time.perf_counter() - began)
            await begin(spread("call", taken))


def main() -> None:
    """Makes them against a target."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams.large")
    parser.add_argument("target")
    asyncio.run(_run(parser.parse_args().target))


if __name__ == "__main__":
    main()
