"""The echo: a bare grpc.aio server of the shape of ours that answers at once and keeps nothing.
Its speed is the bound that gRPC in Python sets for us.

`python -m bench.systems.echo_server JOBS`, driven over its standard input: creates are answered
from the beginning; after the line that starts the work, JOBS jobs are dealt to workers. It speaks
TLS where `JOBSVC_TLS_CERT` and `JOBSVC_TLS_KEY` name files, and asks nobody who it is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from bench.measure.protocol import send_result, wait_for_start
from bench.measure.workload import INPUT, QUEUE
from jobsvc.domain.job_id import new_job_id
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as job_api
from jobsvc.v1 import worker_service_pb2 as work_api
from jobsvc.v1.job_service_pb2_grpc import JobServiceServicer, add_JobServiceServicer_to_server
from jobsvc.v1.worker_service_pb2_grpc import (
    WorkerServiceServicer,
    add_WorkerServiceServicer_to_server,
)

if TYPE_CHECKING:
    _CreateContext = aio.ServicerContext[job_api.CreateJobRequest, job_api.CreateJobResponse]
    _BatchContext = aio.ServicerContext[
        job_api.BatchCreateJobsRequest, job_api.BatchCreateJobsResponse
    ]
    _WorkContext = aio.ServicerContext[work_api.WorkRequest, work_api.WorkResponse]

_NOW = Timestamp(seconds=1_700_000_000, nanos=123_456_000)
_ID = str(new_job_id())
#: The fields that the real server sets.
_CREATED = job_api.CreateJobResponse(
    job=job_pb2.Job(
        id=_ID,
        spec=job_pb2.JobSpec(
            queue=QUEUE,
            attempt_timeout=Duration(seconds=900),
            retry_policy=job_pb2.RetryPolicy(
                max_attempts=3,
                initial_backoff=Duration(seconds=1),
                max_backoff=Duration(seconds=600),
                backoff_multiplier=2,
            ),
        ),
        status=job_pb2.JobStatus(state=job_pb2.JOB_STATE_PENDING, version=1, update_time=_NOW),
        owner=job_pb2.JobOwner(),
        create_time=_NOW,
        etag="1",
    )
)
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
)


class EchoJobs(JobServiceServicer):
    """Creates nothing, and says that it has."""

    async def CreateJob(
        self, request: job_api.CreateJobRequest, context: _CreateContext
    ) -> job_api.CreateJobResponse:
        """Returns a constant response."""
        return _CREATED

    async def BatchCreateJobs(
        self, request: job_api.BatchCreateJobsRequest, context: _BatchContext
    ) -> job_api.BatchCreateJobsResponse:
        """Returns as many constant responses as there are requests."""
        return job_api.BatchCreateJobsResponse(responses=[_CREATED] * len(request.requests))


class EchoWork(WorkerServiceServicer):
    """Deals jobs that were never created, and confirms every outcome."""

    def __init__(self, jobs: int) -> None:
        self._leases = [_lease(n) for n in range(jobs)]
        self._unconfirmed = jobs
        self.may_deal = asyncio.Event()
        self.all_confirmed = asyncio.Event()

    async def Work(  # type: ignore[override]  # frames are read and written by the context
        self, frames: object, context: _WorkContext
    ) -> None:
        """One worker's stream."""
        subscribe = await context.read()
        assert isinstance(subscribe, work_api.WorkRequest)
        subscribed = work_api.Subscribed(
            server_id="echo",
            extend_interval=Duration(seconds=300),
            heartbeat_interval=Duration(seconds=300),
            takes_succeeded_lease_ids=True,
        )
        await context.write(work_api.WorkResponse(subscribed=subscribed, sequence=1))
        await self.may_deal.wait()
        sequence = await self._deal(context, subscribe.subscribe.window, 1)
        while isinstance(frame := await context.read(), work_api.WorkRequest):
            done = frame.report_outcomes.succeeded_lease_ids
            if not done:
                continue
            sequence = await self._confirm(context, done, sequence)
            sequence = await self._deal(context, len(done), sequence)

    async def _deal(self, context: _WorkContext, count: int, sequence: int) -> int:
        leases = self._leases[-count:]
        del self._leases[-count:]
        if not leases:
            return sequence
        dispatch = work_api.LeaseJobsResponse(leases=leases, expires_in=Duration(seconds=900))
        await context.write(work_api.WorkResponse(dispatch=dispatch, sequence=sequence + 1))
        return sequence + 1

    async def _confirm(self, context: _WorkContext, done: Sequence[str], sequence: int) -> int:
        results = work_api.ReportOutcomesResponse(committed_lease_ids=done)
        await context.write(work_api.WorkResponse(outcome_results=results, sequence=sequence + 1))
        self._unconfirmed -= len(done)
        if self._unconfirmed == 0:
            self.all_confirmed.set()
        return sequence + 1


def _lease(number: int) -> work_api.JobLease:
    return work_api.JobLease(
        lease_id=f"{_ID}.{number}",
        job_id=_ID,
        queue=QUEUE,
        input=payload_pb2.Payload(json_text=INPUT),
        attempt=1,
        attempt_timeout=Duration(seconds=900),
        owner=job_pb2.JobOwner(),
        create_time=_NOW,
    )


def _listen(server: aio.Server) -> int:
    """Takes a port, over TLS where `JOBSVC_TLS_CERT` and `JOBSVC_TLS_KEY` name files."""
    address, certificate = "127.0.0.1:0", os.environ.get("JOBSVC_TLS_CERT")
    if certificate is None:
        return server.add_insecure_port(address)
    pair = (Path(os.environ["JOBSVC_TLS_KEY"]).read_bytes(), Path(certificate).read_bytes())
    return server.add_secure_port(address, grpc.ssl_server_credentials([pair]))


async def _serve(jobs: int) -> None:
    server = aio.server(options=_OPTIONS)
    # Methods that are not measured answer UNIMPLEMENTED.
    work = EchoWork(jobs)  # type: ignore[abstract]
    add_JobServiceServicer_to_server(EchoJobs(), server)  # type: ignore[abstract]
    add_WorkerServiceServicer_to_server(work, server)
    port = _listen(server)
    await server.start()
    await wait_for_start(f"127.0.0.1:{port}")
    began = time.perf_counter()
    work.may_deal.set()
    await work.all_confirmed.wait()
    await send_result({"seconds": time.perf_counter() - began})
    await server.stop(grace=None)


def main() -> None:
    """Serves until its input is closed."""
    parser = argparse.ArgumentParser(prog="python -m bench.systems.echo_server")
    parser.add_argument("jobs", type=int)
    asyncio.run(_serve(parser.parse_args().jobs))


if __name__ == "__main__":
    main()
