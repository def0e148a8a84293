"""A server that comes back after it was away for long."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

from jobsvc.client import CallFailed
from jobsvc.v1 import job_pb2, job_service_pb2
from tests.client.support.messages import JOB_ID, job, update
from tests.client.support.peer import Peer

#: By then the pauses of gRPC, if nothing bounds them, are longer than 5 s.
OUTAGE_SECONDS = 15.5
#: A connection is tried every second or so; a call that gRPC repeats pauses for up to 2.4 s.
BACK_SECONDS = 2.0 + 1.6


async def test_calls_and_streams_are_back_soon_after_a_long_outage(
    connect_to: Any, serve: Callable[[Peer, int], int]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    peer = Peer()
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    peer.answer("StreamJobStatus", [update(job_pb2.JOB_STATE_COMPLETED, 2)])
    client = await connect_to(f"127.0.0.1:{port}", timeout=60)
    failures = 0

    async def call() -> float:
        nonlocal failures
        while True:
            try:
                await client.get(JOB_ID)
            except CallFailed:
                failures += 1
            else:
                return time.monotonic()

    async def follow() -> float:
        async for _ in client.follow([JOB_ID]):
            pass
        return time.monotonic()

    async with asyncio.TaskGroup() as tasks:
        results = [tasks.create_task(call()), tasks.create_task(follow())]
        await asyncio.sleep(OUTAGE_SECONDS)  # The outage.
        assert not any(result.done() for result in results)
        back = time.monotonic()
        serve(peer, port)
    assert failures
    assert max(result.result() for result in results) - back < BACK_SECONDS
