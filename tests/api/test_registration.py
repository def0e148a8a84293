"""Which calls stand in the same gRPC request queue, and so can hold up one another."""

import asyncio

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.trace import NoOpTracer

from jobsvc.api.admission import Admission
from jobsvc.api.audit_trail import AuditTrail
from jobsvc.api.auth import CallerReader
from jobsvc.api.connections import Connections
from jobsvc.api.guard import Guard
from jobsvc.api.registration import GuardedServer
from jobsvc.app import Replica
from jobsvc.domain.methods import METHODS
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import worker_service_pb2 as worker_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub


async def test_only_methods_that_want_their_own_request_queue_have_one(server: Replica) -> None:
    # gRPC has a task at each queue.
    tasks = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    own = [method.name for method in METHODS if method.own_request_queue]
    assert tasks.count("AioServer._request_registered_call") == len(own)
    assert tasks.count("AioServer._request_call") == 1


async def test_method_without_a_row_is_not_served() -> None:
    admission, connections = Admission(Settings()), Connections(9, 20)
    trail = AuditTrail(None)
    guard = Guard(admission, connections, CallerReader(b"key"), NoOpTracer(), trail)
    server = GuardedServer(aio.server(), guard)
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    with pytest.raises(LookupError, match=r"jobsvc\.v1\.JobService/Forgotten"):
        server.add_registered_method_handlers("jobsvc.v1.JobService", {"Forgotten": handler})


@pytest.mark.parametrize("by", ["extension", "health"])
async def test_flood_of_calls_holds_up_neither_workers_nor_health(
    jobs: JobServiceStub, queue: str, workers: WorkerServiceStub, channel: aio.Channel, by: str
) -> None:
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue))
    flood = [asyncio.ensure_future(jobs.CreateJob(request)) for _ in range(3000)]
    await flood[0]
    if by == "extension":
        await workers.ExtendLeases(worker_pb.ExtendLeasesRequest(extensions=[{"lease_id": "x"}]))
    else:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    # Some ten; nearly all, if the call stood in line behind them.
    assert sum(call.done() for call in flood) < 2500
    await asyncio.gather(*flood, return_exceptions=True)
