"""Services with API keys, that create jobs.

`python -m bench.neighbours.services TARGET SERVER_PID SECONDS KIND`, with the keys in `BENCH_KEYS`,
one after the other: each step of `modest` lasts so long, in which each service creates a job every
0.2 s; each step of `greedy` creates with 32 calls at a time of each service, again at once when one
is refused, until its standard input has another line; each step of `steady` creates 200 jobs a
second of each service in place of that. Both say that they have begun once any burst is used up.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import grpc
from grpc import aio

from bench.measure.main_thread import MainThread
from bench.measure.workload import INPUT
from bench.streams.steps import next_step, percentiles
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub

QUEUE = "neighbours"
_PERIOD_SECONDS = 0.2
_CALLS = 32
#: Calls of a service that is `steady`, and the default rate of one that is `greedy`.
RATE = 200
_WARM_UP_SECONDS = 1.0
#: Longer than a service that calls without a pause takes for the burst of two seconds.
_BURST_SECONDS = 3.0
_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
_REQUEST = pb.CreateJobRequest(
    spec=job_pb2.JobSpec(queue=QUEUE, input=payload_pb2.Payload(json_text=INPUT))
)


class Service:
    """One service, on a connection of its own."""

    def __init__(self, stub: JobServiceAsyncStub, key: str) -> None:
        self._stub = stub
        self._metadata = (("authorization", f"Bearer {key}"),)
        self.created = 0
        self.refused = 0

    async def create(self) -> None:
        """Makes one call."""
        try:
            await self._stub.CreateJob(_REQUEST, metadata=self._metadata)
            self.created += 1
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            self.refused += 1

    async def now_and_then(
        self,
        first: float,
        end: float,
        server: MainThread,
        period_seconds: float = _PERIOD_SECONDS,
    ) -> list[tuple[float, float]]:
        """Creates a job every period until `end`, and returns how long each call took, late calls
        from when they were due, and how long the server computed meanwhile, for whomever."""
        taken, due = [], first
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            cpu_seconds = server.cpu_seconds()
            await self.create()
            taken.append((time.perf_counter() - due, server.cpu_seconds() - cpu_seconds))
            due += period_seconds
        return taken

    async def steadily(self, number: int, server: MainThread) -> None:
        """Creates `RATE` jobs a second in `_CALLS` lines, of which this is one, until cancelled."""
        first = time.perf_counter() + number / RATE
        await self.now_and_then(first, math.inf, server, _CALLS / RATE)

    async def again_and_again(self) -> None:
        """Creates jobs until cancelled."""
        while True:
            await self.create()


async def _modest(services: list[Service], seconds: float, server: MainThread) -> dict[str, float]:
    now = time.perf_counter()
    taken = await asyncio.gather(
        *(
            service.now_and_then(now + n * _PERIOD_SECONDS / len(services), now + seconds, server)
            for n, service in enumerate(services)
        )
    )
    refused = sum(service.refused for service in services)
    for service in services:
        service.refused = 0
    calls = [one for each in taken for one in each]
    return {
        "refused": refused,
        "calls": len(calls),
        **percentiles("create", [seconds for seconds, _ in calls]),
        **percentiles("computed", [cpu_seconds for _, cpu_seconds in calls]),
    }


async def _busy(services: list[Service], kind: str, server: MainThread) -> bool:
    calls = [
        asyncio.ensure_future(
            service.again_and_again() if kind == "greedy" else service.steadily(number, server)
        )
        for service in services
        for number in range(_CALLS)
    ]
    await asyncio.sleep(_BURST_SECONDS)
    for service in services:
        service.created = service.refused = 0
    began = time.perf_counter()
    going = await next_step({})
    seconds = time.perf_counter() - began
    counts = {
        name: sum(getattr(service, name) for service in services) / seconds
        for name in ("created", "refused")
    }
    for call in calls:
        call.cancel()
    for call in calls:
        with suppress(asyncio.CancelledError):
            await call
    return going and await next_step(counts)


async def _run(target: str, server_pid: int, seconds: float, kind: str) -> None:
    async with AsyncExitStack() as channels:
        server = channels.enter_context(MainThread(server_pid))
        services = []
        for key in os.environ["BENCH_KEYS"].split():
            channel = await channels.enter_async_context(aio.insecure_channel(target, _OPTIONS))
            services.append(Service(JobServiceStub(channel), key))
        if kind == "modest":
            await _modest(services, _WARM_UP_SECONDS, server)
        going = await next_step()
        while going:
            if kind == "modest":
                going = await next_step(await _modest(services, seconds, server))
            else:
                going = await _busy(services, kind, server)


def main() -> None:
    """Creates as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.neighbours.services")
    parser.add_argument("target")
    parser.add_argument("server_pid", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("kind", choices=("modest", "greedy", "steady"))
    chosen = parser.parse_args()
    asyncio.run(_run(chosen.target, chosen.server_pid, chosen.seconds, chosen.kind))


if __name__ == "__main__":
    main()
