"""What calls leave for the collector: nothing large."""

import gc
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from grpc import StatusCode, aio

from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as jobs_pb
from jobsvc.v1 import worker_service_pb2 as workers_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.fixtures import QUEUE
from tests.api.support.worker_stream import create_many, work
from tests.support.probe import eventually

_MB = 1024 * 1024
_LARGE = "x" * (7 * _MB // 2)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is collected during the test."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("method", ["JobService/CreateJob", "WorkerService/Work"])
async def test_a_large_request_that_is_refused_is_not_kept(
    channel: aio.Channel, method: str, uncollected: None
) -> None:
    job = job_pb2.JobSpec(queue=QUEUE, input=payload_pb2.Payload(json_text=_LARGE))
    outcome = workers_pb.JobOutcome(lease_id=_LARGE)
    frame = workers_pb.WorkRequest(
        report_outcomes=workers_pb.ReportOutcomesRequest(outcomes=[outcome])
    )
    # As bytes, so that the caller in this process keeps nothing either.
    call: Any = {
        "JobService/CreateJob": channel.unary_unary,
        "WorkerService/Work": channel.stream_unary,
    }[method](f"/jobsvc.v1.{method}")
    request = {
        "JobService/CreateJob": jobs_pb.CreateJobRequest(spec=job).SerializeToString(),
        "WorkerService/Work": [frame.SerializeToString()],
    }[method]

    async def refused(times: int) -> int:
        for _ in range(times):
            with pytest.raises(aio.AioRpcError) as refusal:
                await call(request)
            assert refusal.value.code() is StatusCode.INVALID_ARGUMENT
        return psutil.Process().memory_info().rss

    before = await refused(5)
    assert await refused(40) - before < 60 * _MB


@pytest.mark.parametrize("method", ["GetJob", "StreamJobStatus"])
async def test_a_refused_call_leaves_no_cycle(
    channel: aio.Channel, method: str, uncollected: None
) -> None:
    call: Any = {
        "GetJob": channel.unary_unary,
        "StreamJobStatus": channel.stream_unary,
    }[method](f"/jobsvc.v1.JobService/{method}")
    request = jobs_pb.GetJobRequest(job_id="none").SerializeToString()
    for _ in range(5):
        with pytest.raises(aio.AioRpcError) as refusal:
            await call(request if method == "GetJob" else [request])
        assert refusal.value.code() is StatusCode.INVALID_ARGUMENT
    # gRPC itself holds the last call until the next one comes.
    await eventually(lambda: sum(type(o) is aio.AbortError for o in gc.get_objects()) <= 1)


async def test_a_cut_stream_keeps_no_leases(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, uncollected: None
) -> None:
    await create_many(jobs, 5)
    async with work(channel) as stream:
        await stream.dispatched()
        assert [len(worker.leases) for worker in _workers()] == [5]
    await eventually(lambda: not any(worker.leases for worker in _workers()))


def _workers() -> list[ConnectedWorker]:
    return [found for found in gc.get_objects() if isinstance(found, ConnectedWorker)]
