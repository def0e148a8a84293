"""What docs/operations/proxies.md says of limits, with the configurations that it has."""

from pathlib import Path

import grpc
import pytest

from jobsvc.v1 import worker_service_pb2 as wire
from jobsvc.v1.queue_service_pb2 import Queue, UpdateQueueRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.support.real_proxies import KINDS, documented, real_proxy
from tests.worker.support.scripted_server import scripted_server

SUBSCRIBE = wire.WorkRequest(subscribe=wire.Subscribe(worker=wire.WorkerInfo(worker_id="w")))
MORE_STREAMS_THAN_BY_DEFAULT = 150
TWO_MEGABYTES = UpdateQueueRequest(queue=Queue(name="q", etag="x" * 2_000_000))


@pytest.mark.parametrize("kind", [*KINDS, "envoy"])
async def test_many_streams_and_large_requests_pass(kind: str, tmp_path: Path) -> None:
    async with scripted_server() as server:
        with real_proxy(kind, server.target, tmp_path, documented(kind)) as target:
            async with grpc.aio.insecure_channel(target) as channel:
                await QueueServiceStub(channel).UpdateQueue(TWO_MEGABYTES, timeout=5)
                streams = [
                    WorkerServiceStub(channel).Work(timeout=10)
                    for _ in range(MORE_STREAMS_THAN_BY_DEFAULT)
                ]
                for stream in streams:
                    await stream.write(SUBSCRIBE)
                for _ in streams:
                    await server.next_stream()
